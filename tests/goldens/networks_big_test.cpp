// LABELS: slow threads
// The deep and wide networks, all VGGs, and Inception's auxiliary head against what PyTorch
// computes in float64: their logits, and one step's loss and gradients, in groups.
// networks_classic.py makes the numbers and holds the same table.
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
      {"inception_v3_auxiliary", "inception_v3", options({{"dropout", 0.0}}), 4, {3, 299, 299}},
  };
  return networks;
}

class NetworksBigTest : public ::testing::TestWithParam<size_t> {};

TEST_P(NetworksBigTest, LogitsAndOneStepEqualPyTorchInFloat64) {
  const Network& network = networks()[GetParam()];
  ClassicGolden golden(network, network.name.ends_with("_auxiliary") ? "smooth" : "relu");
  golden.expect_logits();
  golden.expect_step();
}

INSTANTIATE_TEST_SUITE_P(Cpu, NetworksBigTest, ::testing::Range<size_t>(0, networks().size()),
                         [](const auto& info) { return networks()[info.param].name; });

}  // namespace
}  // namespace lockstep::testing
