// LABELS: slow threads
// The logits of the deep and wide networks against what PyTorch computes in float64.
// networks_classic.py makes the numbers and holds the same table. Gradients are compared in
// networks_classic_test.cpp, for a member of every family: those of a hundred layers with ReLU are
// a tenth off even in float32 PyTorch.
#include "goldens/classic_golden.hpp"

namespace lockstep::testing {
namespace {

Network resnet(std::string name, int64_t depth, int64_t groups = 1, int64_t width = 64) {
  return {std::move(name),
          "resnet",
          options({{"depth", depth}, {"groups", groups}, {"width_per_group", width}}),
          4,
          {3, 64, 64}};
}

Network vgg(int64_t depth, bool batch_norm) {
  return {concat("vgg", depth, batch_norm ? "_bn" : ""),
          "vgg",
          options({{"depth", depth}, {"batch_norm", batch_norm}, {"dropout", 0.0}}),
          4,
          {3, 32, 32}};
}

const std::vector<Network>& networks() {
  static const std::vector<Network> networks = {
      resnet("resnet34", 34),
      resnet("resnet50", 50),
      resnet("resnet101", 101),
      resnet("resnet152", 152),
      resnet("resnext101_32x8d", 101, 32, 8),
      resnet("wide_resnet50_2", 50, 1, 128),
      resnet("wide_resnet101_2", 101, 1, 128),
      vgg(11, false),
      vgg(11, true),
      vgg(13, false),
      vgg(13, true),
      vgg(16, false),
      vgg(16, true),
      vgg(19, false),
      vgg(19, true),
  };
  return networks;
}

class NetworksBigTest : public ::testing::TestWithParam<size_t> {};

TEST_P(NetworksBigTest, LogitsEqualPyTorchInFloat64) {
  ClassicGolden golden(networks()[GetParam()], "relu");
  golden.expect_logits();
}

INSTANTIATE_TEST_SUITE_P(Cpu, NetworksBigTest, ::testing::Range<size_t>(0, networks().size()),
                         [](const auto& info) { return networks()[info.param].name; });

}  // namespace
}  // namespace lockstep::testing
