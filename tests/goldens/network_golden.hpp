// What the tests of whole networks share: the formula that fills them as the scripts beside this
// file do, golden numbers by network, activation and subject, and the comparison of gradients.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "selftest/golden_values.hpp"
#include "support/sketch.hpp"
#include "support/training_rig.hpp"

namespace lockstep::testing {

inline constexpr int64_t kGoldenClasses = 10;

struct Network {
  std::string name;
  std::string model;
  Setting::Table options;
  int64_t batch;
  Shape image;
};

inline Setting::Entry option(std::string name, Setting::Value value) {
  return {std::move(name), "test", {std::move(value), "test"}};
}

// Numbers of one network and activation, by subject.
using Golden = std::map<std::string, std::vector<double>>;

inline Golden read_golden(const std::string& file_name, const std::string& network,
                          const std::string& activation) {
  Golden golden;
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/goldens/" + file_name);
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

inline Sketch to_sketch(const std::vector<double>& numbers) {
  Sketch sketch{.norm = numbers.at(0)};
  for (size_t k = 0; k < Sketch::kSums; ++k) sketch.sums[k] = numbers.at(k + 1);
  return sketch;
}

using Model = std::function<ModelOutput(Scope, Value)>;

// The model with other ops in place of some, as {"relu", "tanh"}: written into a graph of its own,
// then copied.
using Replacements = std::map<std::string, std::string>;
inline Model with_ops(Model model, Replacements replacements) {
  return [model, replacements](Scope s, Value image) -> ModelOutput {
    Graph original(s.mode(), s.graph().ops());
    const Value x = original.input("x", image.type());
    const ModelOutput output = model(Scope(original), x);
    std::vector<ValueId> places;
    const auto place = [&](ValueId id) {
      return ValueId{places[static_cast<size_t>(id.node)].node, id.port};
    };
    for (Node node : original.nodes()) {
      for (ValueId& input : node.inputs) input = place(input);
      if (const auto found = replacements.find(node.op); found != replacements.end()) {
        node.op = found->second;
        node.outputs.resize(1);  // max pooling's second tells where its maxima were
      }
      if (node.op != "input") {
        places.push_back(s.graph().append(std::move(node)));
      } else if (places.empty()) {
        places.push_back(image.id());
      } else {
        places.push_back(s.graph().input(node.label, node.outputs[0]).id());
      }
    }
    for (const Output& result : original.outputs()) {
      s.graph().output(result.role, result.name, place(result.value));
    }
    const auto placed = [&](Value value) { return Value(&s.graph(), place(value.id())); };
    ModelOutput copied = placed(output.logits);
    for (const auto& [logits, weight] : output.auxiliary) {
      copied.auxiliary.push_back({placed(logits), weight});
    }
    return copied;
  };
}

inline PlanRequest make_request(const Network& network, const std::string& activation) {
  static Registry registry;
  PlanRequest request;
  request.image = network.image;
  const auto channels = static_cast<size_t>(network.image[0]);
  request.mean = {0.5, 0.4375, 0.40625};
  request.std = {0.25, 0.3125, 0.28125};
  request.mean.resize(channels);
  request.std.resize(channels);
  request.model = [network](Scope s, Value image) {
    return registry.find_model(network.model).make(s, image, kGoldenClasses, network.options);
  };
  if (activation == "tanh") request.model = with_ops(request.model, {{"relu", "tanh"}});
  if (activation == "smooth") {
    request.model = with_ops(request.model, {{"relu", "tanh"}, {"max_pool2d", "avg_pool2d"}});
  }
  return request;
}

// Weights like He's, norms about 1, biases about 0, those of batch norms about -norm_shift or
// norm_shift; every operation is exact or rounds once.
inline void fill_parameters(TrainingRig& rig, float norm_shift = 0) {
  for (const ParameterSlot& slot : rig.state.layout.parameters) {
    const int64_t fan_in = slot.count / slot.shape[0];
    const auto scale = static_cast<float>(std::sqrt(6.0 / static_cast<double>(fan_in)));
    const std::string module = slot.name.substr(0, slot.name.rfind('.'));
    const bool of_norm = rig.state.layout.find_buffer(module + ".running_mean") != nullptr;
    const float shift = of_norm ? norm_shift : 0;
    std::vector<float> values(static_cast<size_t>(slot.count));
    for (size_t i = 0; i < values.size(); ++i) {
      const float value = golden_value(slot.name, i);
      if (slot.shape.rank() > 1) {
        values[i] = value * scale;
      } else if (slot.name.ends_with("bias")) {
        values[i] = value * 0.125f + (value < 0 ? -shift : shift);
      } else {
        values[i] = value * 0.125f + 1.0f;
      }
    }
    rig.set_parameter(slot.name, values);
  }
}

// Running means about 0, running variances about 1.
inline void fill_buffers(TrainingRig& rig) {
  for (const BufferSlot& slot : rig.state.layout.buffers) {
    const float center = slot.name.ends_with("running_var") ? 1.0f : 0.0f;
    std::vector<float> values(static_cast<size_t>(slot.count));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = golden_value(slot.name, i) * 0.125f + center;
    }
    rig.state.write(rig.state.buffers, slot.offset, values);
  }
}

inline HostSamples make_samples(std::string_view name, const Network& network) {
  HostSamples samples{network.image, {}, {}, {}, {}};
  for (int64_t i = 0; i < network.batch * network.image.numel(); ++i) {
    samples.images.push_back(static_cast<uint8_t>(golden_hash(name, static_cast<uint64_t>(i))));
  }
  for (int64_t i = 0; i < network.batch; ++i) {
    const uint32_t hash = golden_hash("labels", static_cast<uint64_t>(i));
    samples.labels.push_back(static_cast<int32_t>(hash % kGoldenClasses));
    samples.weights.push_back(1);
    samples.indices.push_back(i);
  }
  return samples;
}

inline bool uses_winograd(const Plan& plan) {
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

// Of the golden's gradients; those below 1e-6 of the largest norm are zero but for rounding.
// Returns how many the golden has.
inline size_t expect_golden_gradients(const TrainingRig& rig, const Golden& golden,
                                      double tolerance, double least_cosine) {
  constexpr std::string_view kSubject = "gradient ";
  double largest = 0;
  for (const auto& [subject, numbers] : golden) {
    if (subject.starts_with(kSubject)) largest = std::max(largest, numbers.at(0));
  }
  size_t count = 0;
  Worst worst;
  for (const auto& [subject, numbers] : golden) {
    if (!subject.starts_with(kSubject)) continue;
    ++count;
    const std::string name = subject.substr(kSubject.size());
    if (rig.state.layout.find_parameter(name) == nullptr) {
      ADD_FAILURE() << "the model has no parameter " << name;
      continue;
    }
    const Sketch expected = to_sketch(numbers);
    if (expected.norm < 1e-6 * largest) continue;
    const Sketch actual = Sketch::of(rig.gradient(name));
    const double error = distance(actual, expected) / expected.norm;
    EXPECT_LE(error, tolerance) << name;
    EXPECT_GE(cosine(actual, expected), least_cosine) << name;
    worst.add(error, name);
  }
  ::testing::Test::RecordProperty("gradient_error", worst.text());
  return count;
}

// The tolerances for whole networks: with ReLU one sign that rounding flips changes a gradient.
// `float32` is the error of PyTorch's own in float32, of which twice is allowed; 0: unknown.
inline double golden_tolerance(TrainingRig& rig, const std::string& activation, int64_t batch,
                               double float32) {
  if (activation == "relu") return std::max(3e-2, 2 * float32);
  return uses_winograd(rig.plan(batch)) ? 1e-3 : std::max(1e-4, 2 * float32);
}

inline size_t expect_golden_gradients(TrainingRig& rig, const Golden& golden,
                                      const std::string& activation, int64_t batch,
                                      double float32 = 0) {
  const double tolerance = golden_tolerance(rig, activation, batch, float32);
  const double least_cosine =
      activation == "relu" ? std::min(0.9995, 1 - tolerance * tolerance / 2) : 0.999999;
  return expect_golden_gradients(rig, golden, tolerance, least_cosine);
}

}  // namespace lockstep::testing
