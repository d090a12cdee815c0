// LARS against an independent implementation in float64: lars.tsv, made by tests/goldens/lars.py,
// which has the same tensors.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <map>

#include "plan/state.hpp"
#include "plugin/registry.hpp"
#include "runtime/host_wait.hpp"
#include "runtime/update.hpp"
#include "selftest/golden_values.hpp"
#include "train/update_groups.hpp"

namespace lockstep::testing {
namespace {

struct Case {
  const char* name;
  int64_t count;
  float factor;  // of the first values
  ParameterKind kind;
};
constexpr Case kTensors[] = {{"fc.weight", 5000, 0.125f, ParameterKind::weight},
                             {"bn.weight", 10, 1, ParameterKind::norm},
                             {"head.weight", 4097, 0.5f, ParameterKind::weight},
                             {"fc.bias", 7, 1, ParameterKind::bias},
                             {"zero.weight", 33, 0, ParameterKind::weight}};

ParameterLayout make_layout() {
  ParameterLayout layout;
  for (const Case& tensor : kTensors) {
    layout.parameters.push_back({tensor.name,
                                 {tensor.count},
                                 {{}, tensor.kind},
                                 true,
                                 layout.parameter_elements,
                                 tensor.count});
    layout.parameter_elements += (tensor.count + 15) / 16 * 16;
  }
  layout.trainable_elements = layout.parameter_elements;
  return layout;
}

std::vector<float> values_of(const std::string& key, int64_t count, float factor) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(golden_value(key, static_cast<uint64_t>(i)) * factor);
  return values;
}

OptimizerSection section(bool decay_norm_and_bias) {
  OptimizerSection section;
  section.name = "lars";
  section.decay_norm_and_bias = decay_norm_and_bias;
  section.groups = {{.parameters = {"head"}, .lr_multiplier = 0.5, .weight_decay_multiplier = 2}};
  return section;
}

std::shared_ptr<const Optimizer> lars(Registry& registry) {
  return registry.find_optimizer("lars").make(
      {{"momentum", {}, {0.9, {}}}, {"weight_decay", {}, {0.01, {}}}, {"eta", {}, {0.02, {}}}});
}

// Three steps; the parameter arena after them.
std::vector<float> train(const std::string& device_name, int threads, bool decay_norm_and_bias) {
  Registry registry;
  const std::unique_ptr<Device> device =
      registry.find_device(device_name).make({.threads = threads});
  State state(*device, make_layout(), 1, 1, true);
  CommunicationThread alone([&] { return registry.find_communicator("local").make({}); }, 60);
  HostWait wait(*device, alone);
  Update update(*device, state, wait,
                plan_update(state.layout, section(decay_norm_and_bias), lars(registry), 0));
  for (size_t i = 0; i < std::size(kTensors); ++i) {
    const Case& tensor = kTensors[i];
    state.write(state.parameters, state.layout.parameters[i].offset,
                values_of(tensor.name, tensor.count, tensor.factor));
  }
  constexpr double kLossScale = 2;  // what tests/goldens divides the gradients by
  constexpr float kRates[] = {0.5f, 0.25f, 1.0f};
  for (int step = 0; step < 3; ++step) {
    for (size_t i = 0; i < std::size(kTensors); ++i) {
      const std::string key = concat(kTensors[i].name, ".gradient", step);
      state.write(state.gradients, state.layout.parameters[i].offset,
                  values_of(key, kTensors[i].count, 1));
    }
    update.run({.lr = kRates[step], .step = step + 1}, kLossScale);
  }
  return state.read(state.parameters, 0, state.layout.parameter_elements);
}

void expect_golden(const std::vector<float>& arena, const std::string& setting) {
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/goldens/lars.tsv");
  const ParameterLayout layout = make_layout();
  size_t compared = 0;
  std::string kind, name;
  std::array<double, 4> expected{};
  while (file >> kind >> name >> expected[0] >> expected[1] >> expected[2] >> expected[3]) {
    if (kind != setting) continue;
    const ParameterSlot* slot = layout.find_parameter(name);
    ASSERT_NE(slot, nullptr) << name;
    std::array<double, 4> found{};
    for (int64_t i = 0; i < slot->count; ++i) {
      const double value = arena[static_cast<size_t>(slot->offset + i)];
      found[0] += value * value;
      for (size_t k = 0; k < 3; ++k) {
        found[k + 1] += value * golden_value(concat("projection", k), static_cast<uint64_t>(i));
      }
    }
    found[0] = std::sqrt(found[0]);
    for (size_t k = 0; k < 4; ++k) EXPECT_NEAR(found[k], expected[k], 1e-5 * expected[0]) << name;
    ++compared;
  }
  EXPECT_EQ(compared, std::size(kTensors));
}

TEST(LarsTest, EqualsThePapersAlgorithmInFloat64) {
  for (const char* device : {"reference", "cpu"}) {
    SCOPED_TRACE(device);
    expect_golden(train(device, 2, true), "all");
    expect_golden(train(device, 2, false), "exempt");
  }
}

TEST(LarsTest, GivesTheSameBitsForAnyNumberOfThreads) {
  EXPECT_EQ(train("cpu", 1, false), train("cpu", 2, false));
}

TEST(LarsTest, EveryTensorIsASegmentOfItsOwn) {
  Registry registry;
  const UpdatePlan plan = plan_update(make_layout(), section(true), lars(registry), 0);
  ASSERT_EQ(plan.segments.size(), std::size(kTensors));
  for (size_t i = 0; i < plan.segments.size(); ++i)
    EXPECT_EQ(plan.segments[i].count, kTensors[i].count);
  EXPECT_EQ(plan.groups.size(), 2u) << "the head's, and that of all others";
}

TEST(LarsTest, ExemptNormsAndBiasesAreMomentumAlone) {
  Registry registry;
  const UpdatePlan plan = plan_update(make_layout(), section(false), lars(registry), 0);
  const UpdateGroup& group = plan.groups[static_cast<size_t>(plan.segments[1].group)];
  float w = 1, velocity = 0;
  const float g = 2;
  float* slots[] = {&velocity};
  group.optimizer->update({.lr = 0.25f}, {.weight = 1, .gradient = 2}, &w, &g, slots, 0, 1);
  EXPECT_EQ(w, 0.5f);
}

}  // namespace
}  // namespace lockstep::testing
