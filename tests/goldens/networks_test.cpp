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
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "support/golden_values.hpp"
#include "support/sketch.hpp"
#include "support/training_rig.hpp"

namespace lockstep::testing {
namespace {

constexpr int64_t kClasses = 10;
constexpr float kLearningRate = 0.001f;

struct Network {
  std::string name;
  std::string model;
  Setting::Table options;
  int64_t batch;
  Shape image;
};

Setting::Entry option(std::string name, Setting::Value value) {
  return {std::move(name), "test", {std::move(value), "test"}};
}

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

// Losses and sketches of one network and activation, by subject.
using Golden = std::map<std::string, std::vector<double>>;

Golden read_golden(const std::string& network, const std::string& activation) {
  Golden golden;
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/goldens/networks.tsv");
  for (std::string line; std::getline(file, line);) {
    std::stringstream words(line);
    std::string line_network, line_activation, subject;
    std::getline(words, line_network, '\t');
    std::getline(words, line_activation, '\t');
    std::getline(words, subject, '\t');
    if (line_network != network || line_activation != activation) continue;
    for (double number; words >> number;) golden[subject].push_back(number);
  }
  return golden;
}

Sketch to_sketch(const std::vector<double>& numbers) {
  Sketch sketch{.norm = numbers.at(0)};
  for (size_t k = 0; k < Sketch::kSums; ++k) sketch.sums[k] = numbers.at(k + 1);
  return sketch;
}

using Model = std::function<ModelOutput(Scope, Value)>;

// The model with tanh in place of ReLU: written into a graph of its own, then copied.
Model with_tanh(Model model) {
  return [model](Scope s, Value image) -> ModelOutput {
    Graph original(s.mode(), s.graph().ops());
    const Value x = original.input("x", image.type());
    const ValueId logits = model(Scope(original), x).logits.id();
    std::vector<ValueId> places;
    const auto place = [&](ValueId id) {
      return ValueId{places[static_cast<size_t>(id.node)].node, id.port};
    };
    for (Node node : original.nodes()) {
      for (ValueId& input : node.inputs) input = place(input);
      if (node.op == "relu") node.op = "tanh";
      if (node.op != "input") {
        places.push_back(s.graph().append(std::move(node)));
      } else if (places.empty()) {
        places.push_back(image.id());
      } else {
        places.push_back(s.graph().input(node.label, node.outputs[0]).id());
      }
    }
    for (const Output& output : original.outputs()) {
      s.graph().output(output.role, output.name, place(output.value));
    }
    return Value(&s.graph(), place(logits));
  };
}

PlanRequest make_request(const Network& network, const std::string& activation) {
  static Registry registry;
  PlanRequest request;
  request.image = network.image;
  const auto channels = static_cast<size_t>(network.image[0]);
  request.mean = {0.5, 0.4375, 0.40625};
  request.std = {0.25, 0.3125, 0.28125};
  request.mean.resize(channels);
  request.std.resize(channels);
  request.model = [network](Scope s, Value image) {
    return registry.find_model(network.model).make(s, image, kClasses, network.options);
  };
  if (activation == "tanh") request.model = with_tanh(request.model);
  return request;
}

// Weights like He's, norms about 1, biases about 0; every operation is exact or rounds once.
void fill_parameters(TrainingRig& rig) {
  for (const ParameterSlot& slot : rig.state.layout.parameters) {
    const int64_t fan_in = slot.count / slot.shape[0];
    const auto scale = static_cast<float>(std::sqrt(6.0 / static_cast<double>(fan_in)));
    std::vector<float> values(static_cast<size_t>(slot.count));
    for (size_t i = 0; i < values.size(); ++i) {
      const float value = test::golden_value(slot.name, i);
      if (slot.shape.rank() > 1) {
        values[i] = value * scale;
      } else {
        values[i] = value * 0.125f + (slot.name.ends_with("bias") ? 0.0f : 1.0f);
      }
    }
    rig.set_parameter(slot.name, values);
  }
}

HostSamples make_samples(std::string_view name, const Network& network) {
  HostSamples samples{network.image, {}, {}, {}, {}};
  for (int64_t i = 0; i < network.batch * network.image.numel(); ++i) {
    samples.images.push_back(
        static_cast<uint8_t>(test::golden_hash(name, static_cast<uint64_t>(i))));
  }
  for (int64_t i = 0; i < network.batch; ++i) {
    const uint32_t hash = test::golden_hash("labels", static_cast<uint64_t>(i));
    samples.labels.push_back(static_cast<int32_t>(hash % kClasses));
    samples.weights.push_back(1);
    samples.indices.push_back(i);
  }
  return samples;
}

bool uses_winograd(const Plan& plan) {
  return std::any_of(plan.launches.begin(), plan.launches.end(), [](const Launch& launch) {
    return launch.kernel != nullptr &&
           launch.kernel->implementation().find("wino") != std::string_view::npos;
  });
}

// The largest error seen; in the test's record (--gtest_output), so that tolerances can be judged.
struct Worst {
  double error = 0;
  std::string where = "none";
  void add(double other, std::string_view place) {
    if (other > error) error = other, where = place;
  }
  std::string text() const { return fmt::format("{:.1e} in {}", error, where); }
};

class NetworkGoldenTest
    : public ::testing::TestWithParam<std::tuple<std::string, size_t, std::string>> {
 protected:
  const Network& network_ = networks()[std::get<1>(GetParam())];
  const std::string& activation_ = std::get<2>(GetParam());
  Golden golden_ = read_golden(network_.name, activation_);
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

  void expect_golden_gradients(double tolerance, double least_cosine) {
    double largest = 0;
    size_t in_golden = 0;
    for (const auto& [subject, numbers] : golden_) {
      if (!subject.starts_with("gradient ")) continue;
      largest = std::max(largest, numbers.at(0));
      ++in_golden;
    }
    EXPECT_EQ(in_golden, rig_.state.layout.parameters.size());
    Worst worst;
    for (const ParameterSlot& slot : rig_.state.layout.parameters) {
      ASSERT_TRUE(golden_.contains("gradient " + slot.name)) << slot.name;
      const Sketch expected = to_sketch(golden_.at("gradient " + slot.name));
      if (expected.norm < 1e-6 * largest) continue;
      const Sketch actual = Sketch::of(rig_.gradient(slot.name));
      const double error = distance(actual, expected) / expected.norm;
      EXPECT_LE(error, tolerance) << slot.name;
      EXPECT_GE(cosine(actual, expected), least_cosine) << slot.name;
      worst.add(error, slot.name);
    }
    RecordProperty("gradient_error", worst.text());
  }
};

using NetworkGradientTest = NetworkGoldenTest;

TEST_P(NetworkGradientTest, FirstGradientsEqualPyTorchInFloat64) {
  const double loss = step();
  EXPECT_NEAR(loss, golden_.at("losses").at(0), 1e-5);
  if (activation_ == "relu") {
    expect_golden_gradients(3e-2, 0.9995);
  } else {
    expect_golden_gradients(uses_winograd(rig_.plan(network_.batch)) ? 1e-3 : 1e-4, 0.999999);
  }
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
