#include "plan/plan.hpp"

#include <gtest/gtest.h>

#include "plugin/registry.hpp"
#include "support/golden_file.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

PlanRequest resnet18(Registry& registry, Mode mode) {
  PlanRequest request;
  request.mode = mode;
  request.batch_size = 2;
  request.image = {3, 32, 32};
  const ModelEntry& entry = registry.find_model("resnet");
  request.model = [&entry](Scope s, Value image) {
    const Setting::Table options{{"depth", "", {int64_t{18}, ""}},
                                 {"small_images", "", {true, ""}}};
    return entry.make(s, image, 10, options);
  };
  return request;
}

TEST(PlanTest, GraphOfResNet18IsTheGoldenOne) {
  Registry registry;
  const PlanRequest request = resnet18(registry, Mode::training);
  const Graph graph = transform_graph(request, registry.ops(), supports_everything);
  expect_golden("resnet18_small_training_graph.txt", print(order_launches(graph)));
}

TEST(PlanTest, GraphOfResNet18InBf16IsTheGoldenOne) {
  Registry registry;
  PlanRequest request = resnet18(registry, Mode::training);
  request.precision = DType::bf16;
  const Graph graph = transform_graph(request, registry.ops(), supports_everything);
  expect_golden("resnet18_small_bf16_graph.txt", print(order_launches(graph)));
}

TEST(PlanTest, PlanOfResNet18OnReferenceIsTheGoldenOne) {
  Registry registry;
  const auto device = registry.find_device("reference").make({});
  const PlanRequest request = resnet18(registry, Mode::training);
  const ParameterLayout layout = layout_parameters(transform_graph(
      request, registry.ops(), [&](std::string_view op, const Attributes& attributes) {
        return device->supports(op, attributes, DType::f32);
      }));
  const Plan plan = compile(request, registry, *device, layout);
  verify_memory_plan(plan.graph, plan.memory);
  expect_golden("resnet18_small_training_plan.txt", plan.text());
}

TEST(PlanTest, NoTwoLiveValuesOverlapOnAnyDevice) {
  Registry registry;
  for (const char* name : {"reference", "cpu"}) {
    const auto device = registry.find_device(name).make({});
    for (Mode mode : {Mode::training, Mode::evaluation}) {
      PlanRequest request = resnet18(registry, mode);
      const Supports supports = [&](std::string_view op, const Attributes& attributes) {
        return device->supports(op, attributes, DType::f32);
      };
      const ParameterLayout layout =
          layout_parameters(transform_graph(request, registry.ops(), supports));
      const Plan plan = compile(request, registry, *device, layout);
      verify_memory_plan(plan.graph, plan.memory);
      EXPECT_LT(plan.memory.peak_bytes, plan.memory.sum_bytes);
      request.precision = DType::bf16;  // parameters lie as they do
      const Plan half = compile(request, registry, *device, layout);
      verify_memory_plan(half.graph, half.memory);
    }
  }
}

TEST(PlanTest, Bf16HalvesTheMemoryOfActivationsAndAddsThatOfCastWeights) {
  Registry registry;
  const auto device = registry.find_device("reference").make({});
  PlanRequest request = resnet18(registry, Mode::training);
  request.batch_size = 32;
  const ParameterLayout layout =
      layout_parameters(transform_graph(request, registry.ops(), supports_nothing_fused));
  const int64_t floats = compile(request, registry, *device, layout).memory.peak_bytes;
  request.precision = DType::bf16;
  const int64_t halves = compile(request, registry, *device, layout).memory.peak_bytes;
  EXPECT_NEAR(static_cast<double>(halves),
              static_cast<double>(floats / 2 + layout.parameter_elements * 2),
              0.05 * static_cast<double>(floats));
}

TEST(PlanTest, CollectivesAreEqualForEveryBatchSize) {
  Registry registry;
  const auto device = registry.find_device("reference").make({});
  PlanRequest request = residual_request();
  request.sync_batch_norm = true;
  const ParameterLayout layout =
      layout_parameters(transform_graph(request, registry.ops(), supports_nothing_fused));
  const std::string six = compile(request, registry, *device, layout).collectives();
  request.batch_size = 5;
  EXPECT_EQ(compile(request, registry, *device, layout).collectives(), six);
}

TEST(PlanTest, ModelThatIsTooDeepForItsImagesSaysSo) {
  Registry registry;
  PlanRequest request = resnet18(registry, Mode::training);
  request.model = [&](Scope s, Value image) {
    return registry.find_model("convnet").make(s, image, 10, {});
  };
  request.image = {3, 2, 2};
  try {
    build_graph(request, registry.ops());
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), Failure::usage);
    EXPECT_NE(std::string(error.what()).find("too small"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lockstep::testing
