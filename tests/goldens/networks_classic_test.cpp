// LABELS: unit threads
// A member of every family of networks against what PyTorch computes in float64: logits, loss, and
// all gradients of one step. networks_classic.py makes the numbers and holds the same table; the
// other members are in networks_big_test.cpp.
#include "goldens/classic_golden.hpp"

namespace lockstep::testing {
namespace {

const std::vector<Network>& networks() {
  static const std::vector<Network> networks = {
      {"alexnet", "alexnet", options({{"dropout", 0.0}}), 2, {3, 64, 64}},
      {"googlenet",
       "googlenet",
       options({{"dropout", 0.0}, {"auxiliary_dropout", 0.0}}),
       4,
       {3, 64, 64}},
      {"inception_v3",
       "inception_v3",
       options({{"dropout", 0.0}, {"auxiliary", false}}),
       4,
       {3, 139, 139}},
      {"resnet34_every_stage",
       "resnet",
       options(
           {{"depth", int64_t{34}},
            {"projection", std::string("every_stage")},
            {"average_pool", int64_t{7}},
            {"widths",
             Setting::Array{
                 {int64_t{128}, ""}, {int64_t{256}, ""}, {int64_t{512}, ""}, {int64_t{512}, ""}}}}),
       2,
       {3, 224, 224}},
      {"resnet50_first_version",
       "resnet",
       options({{"stride_in", std::string("1x1")}, {"convolution_bias", true}}),
       4,
       {3, 64, 64}},
      {"resnext50_32x4d",
       "resnet",
       options({{"groups", int64_t{32}}, {"width_per_group", int64_t{4}}}),
       3,
       {3, 64, 64}},
  };
  return networks;
}

class NetworksClassicTest : public ::testing::TestWithParam<std::tuple<size_t, std::string>> {};

TEST_P(NetworksClassicTest, LogitsAndOneStepEqualPyTorchInFloat64) {
  const auto& [network, kind] = GetParam();
  ClassicGolden golden(networks()[network], kind);
  golden.expect_logits();
  golden.expect_step();
}

INSTANTIATE_TEST_SUITE_P(Cpu, NetworksClassicTest,
                         ::testing::Combine(::testing::Range<size_t>(0, networks().size()),
                                            ::testing::Values("relu", "smooth")),
                         [](const auto& info) {
                           return networks()[std::get<0>(info.param)].name + "_" +
                                  std::get<1>(info.param);
                         });

}  // namespace
}  // namespace lockstep::testing
