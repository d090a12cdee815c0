// LABELS: unit threads
// Whole networks against what PyTorch computes in float64 (networks.tsv, made by networks.py, which
// holds the same table of networks and fills them alike).
//
// Gradients are compared by sketches (support/sketch.hpp). With ReLU the tolerance is wide, because
// one sign that rounding flips changes a whole gradient: float32 PyTorch is up to 1e-2 off as well.
// With tanh in its place nothing flips, and errors stay those of rounding.
//
// Training multiplies such a difference: after 20 steps with momentum float32 PyTorch's losses are
// up to 2e-4 and its logits 2e-3 off. So ReLU trains without momentum, and its logits are allowed
// 5e-3; tanh trains with momentum, a few steps, and is held to 1e-4 in losses and logits.
#include "goldens/network_golden.hpp"

namespace lockstep::testing {
namespace {

constexpr float kLearningRate = 0.001f;

// Places in networks().
constexpr size_t kCifarResNet20 = 2;
constexpr size_t kConvNet = 3;

const std::vector<Network>& networks() {
  static const std::vector<Network> networks = {
      {"resnet18", "resnet", {option("depth", int64_t{18})}, 8, {3, 96, 96}},
      {"resnet18_small",
       "resnet",
       {option("depth", int64_t{18}), option("small_images", true)},
       8,
       {3, 32, 32}},
      {"cifar_resnet20", "cifar_resnet", {option("depth", int64_t{20})}, 16, {3, 32, 32}},
      {"convnet", "convnet", {}, 16, {1, 28, 28}},
  };
  return networks;
}

class NetworkGoldenTest
    : public ::testing::TestWithParam<std::tuple<std::string, size_t, std::string>> {
 protected:
  const Network& network_ = networks()[std::get<1>(GetParam())];
  const std::string& activation_ = std::get<2>(GetParam());
  Golden golden_ = read_golden("networks.tsv", network_.name, activation_);
  TrainingRig rig_{std::get<0>(GetParam()),
                   make_request(network_, activation_),
                   1,
                   0,
                   {option("momentum", activation_ == "relu" ? 0.0 : 0.9)}};
  HostSamples samples_ = make_samples("images", network_);

  void SetUp() override {
    ASSERT_FALSE(golden_.empty()) << "not in networks.tsv; make it anew with networks.py";
    fill_parameters(rig_);
  }

  double step() { return rig_.step(samples_, network_.batch, kLearningRate); }
};

using NetworkGradientTest = NetworkGoldenTest;

TEST_P(NetworkGradientTest, FirstGradientsEqualPyTorchInFloat64) {
  const double loss = step();
  EXPECT_NEAR(loss, golden_.at("losses").at(0), 1e-5);
  EXPECT_EQ(expect_golden_gradients(rig_, golden_, activation_, network_.batch),
            rig_.state.layout.parameters.size());
}

using NetworkTrainingTest = NetworkGoldenTest;

// Every step has the same batch; other images are evaluated in the end.
TEST_P(NetworkTrainingTest, TrainsAndThenEvaluatesAsPyTorchInFloat64) {
  const double loss_tolerance = activation_ == "relu" ? 1e-3 : 1e-4;
  const double logits_tolerance = activation_ == "relu" ? 5e-3 : 1e-4;
  const std::vector<double>& losses = golden_.at("losses");
  ASSERT_EQ(losses.size(), activation_ == "relu" ? 20u : 5u);
  Worst worst;
  for (size_t i = 0; i < losses.size(); ++i) {
    const double loss = step();
    EXPECT_NEAR(loss, losses[i], i == 0 ? 1e-5 : loss_tolerance) << "in step " << i + 1;
    worst.add(std::abs(loss - losses[i]), concat("step ", i + 1));
  }
  HostSamples others = make_samples("other images", network_);
  const Sketch expected = to_sketch(golden_.at("logits"));
  const Sketch actual = Sketch::of(rig_.logits(others, network_.batch));
  const double error = distance(actual, expected) / expected.norm;
  EXPECT_LE(error, logits_tolerance);
  RecordProperty("loss_error", worst.text());
  RecordProperty("logits_error", fmt::format("{:.1e}", error));
}

std::string case_name(const ::testing::TestParamInfo<NetworkGoldenTest::ParamType>& info) {
  const auto& [device, network, activation] = info.param;
  return device + "_" + networks()[network].name + "_" + activation;
}

const auto kActivations = ::testing::Values("relu", "tanh");
const auto kEveryNetwork = ::testing::Range<size_t>(0, networks().size());

// The reference device computes only what it can in seconds.
INSTANTIATE_TEST_SUITE_P(Reference, NetworkGradientTest,
                         ::testing::Combine(::testing::Values("reference"),
                                            ::testing::Values(kCifarResNet20, kConvNet),
                                            kActivations),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Cpu, NetworkGradientTest,
                         ::testing::Combine(::testing::Values("cpu"), kEveryNetwork, kActivations),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Reference, NetworkTrainingTest,
                         ::testing::Combine(::testing::Values("reference"),
                                            ::testing::Values(kConvNet), kActivations),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Cpu, NetworkTrainingTest,
                         ::testing::Combine(::testing::Values("cpu"), kEveryNetwork, kActivations),
                         case_name);

}  // namespace
}  // namespace lockstep::testing
