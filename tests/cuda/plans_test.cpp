// LABELS: unit threads
// NEEDS: cuda null_driver
// ResNet-18 and ResNet-50 in bf16, as recipes train and evaluate them, planned for an H100: the
// part of all_plans_test that continuous integration has the time for. And what cuDNN must refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "cuda/planning.hpp"
#include "device.hpp"
#include "graphs.hpp"
#include "planner.hpp"
#include "plugin/registry.hpp"
#include "recipe/recipe.hpp"
#include "support/expect_error.hpp"

namespace lockstep::testing {
namespace {

using namespace lockstep::cuda;

TEST(PlansTest, ResNetsInBf16PlanForH100) {
  if (!has_null_driver()) GTEST_SKIP() << "needs tests/cuda/null_driver.c, as ctest gives it";
  std::vector<PlanningCase> cases;
  for (const char* recipe : {"imagenet/resnet50.toml", "imagenet/resnet18.toml"}) {
    for (Mode mode : {Mode::training, Mode::evaluation}) {
      cases.push_back({recipe, mode, DType::bf16, 90});
    }
  }
  const std::vector<PlanningResult> results = plan_cases(cases);
  for (const PlanningResult& result : results) {
    EXPECT_EQ(result.failure, "") << result.what.text();
    EXPECT_GT(result.graphs.size(), 10u) << result.what.text();
    for (const PlannedGraph& graph : result.graphs) {
      EXPECT_LE(graph.workspace_bytes, PlannerOptions{}.most_workspace_bytes) << graph.label;
    }
  }
  std::printf("%s", summary_table(results).c_str());
}

TEST(PlansTest, EveryNodeOfTheSelfTestIsPreparedInFloat) {
  if (!has_null_driver()) GTEST_SKIP() << "needs tests/cuda/null_driver.c, as ctest gives it";
  const OpCasePlans plans = plan_op_cases(DType::f32);
  EXPECT_THAT(plans.refused, ::testing::IsEmpty());
  EXPECT_GT(plans.prepared, 300);
}

ConvolutionShape small_convolution(DType dtype) {
  return {.dtype = dtype,
          .batch = 16,
          .x = {64, 28, 28},
          .y = {64, 28, 28},
          .kernel = {3, 3},
          .stride = {1, 1},
          .padding = {1, 1},
          .dilation = {1, 1},
          .groups = 1};
}

Planner planner_of(int architecture, const PlannerOptions& options = {}) {
  const std::string description = device_description(architecture);
  return Planner(description, described_properties(description), options);
}

TEST(PlansTest, Bf16IsRefusedWhereTheArchitectureLacksIt) {
  Planner t4 = planner_of(75);
  EXPECT_NO_THROW(t4.plan(convolution_graph(small_convolution(DType::f16), {})));
  expect_error([&] { t4.plan(convolution_graph(small_convolution(DType::bf16), {})); },
               Failure::device, "has no engine on sm_75");
  const CudaDevice device(device_description(75), DeviceOptions{});
  EXPECT_FALSE(device.supports("conv2d", {}, DType::bf16));
  EXPECT_TRUE(device.supports("conv2d", {}, DType::f16));
}

TEST(PlansTest, AnOutputThatTheWindowDoesNotGiveIsRefused) {
  ConvolutionShape shape = small_convolution(DType::f32);
  shape.y[1] = 27;
  expect_error([&] { planner_of(90).plan(convolution_graph(shape, {})); }, Failure::device, "");
}

// A shape for which the heuristics' first engine on B200 adds in no fixed order.
TEST(PlansTest, DeterministicPlansLeaveOutEnginesThatAreNot) {
  ConvolutionShape shape = small_convolution(DType::f32);
  shape.batch = 64;
  shape.x = shape.y = {16, 32, 32};
  const OperationGraph graph = convolution_grad_weight_graph(shape);
  const auto any = planner_of(100, {.deterministic = false}).plan(graph);
  const auto same_bits = planner_of(100, {.deterministic = true}).plan(graph);
  EXPECT_NE(any->implementation().find("not deterministic"), std::string::npos);
  EXPECT_EQ(same_bits->implementation().find("not deterministic"), std::string::npos);
}

TEST(PlansTest, ANetworkOfFloatsPlansWithoutTf32) {
  if (!has_null_driver()) GTEST_SKIP() << "needs tests/cuda/null_driver.c, as ctest gives it";
  const auto results = plan_cases({{"mnist/lenet5.toml", Mode::training, DType::f32, 90, false}});
  EXPECT_EQ(results[0].failure, "");
  for (const PlannedGraph& graph : results[0].graphs) {
    EXPECT_EQ(graph.implementation.find("tensor cores"), std::string::npos) << graph.label;
  }
}

TEST(PlansTest, EveryModelIsInARecipe) {
  Registry registry;
  std::set<std::string> models;
  for (const Registry::Listed& item : registry.list_all(nullptr)) {
    if (item.kind == Kind::model) models.insert(item.name);
  }
  EXPECT_GE(models.size(), 8u);
  for (const std::string& recipe : all_recipes()) {
    models.erase(load_recipe(LOCKSTEP_SOURCE_DIR "/recipes/" + recipe, {}, registry).model.name);
  }
  EXPECT_THAT(models, ::testing::IsEmpty()) << "all_plans_test plans recipes";
}

TEST(PlansTest, WithoutTf32NoProductOfFloatsIsOnTensorCores) {
  const OperationGraph graph = convolution_graph(small_convolution(DType::f32), {});
  const auto rounded = planner_of(90).plan(graph);
  const auto exact = planner_of(90, {.tf32 = false}).plan(graph);
  EXPECT_NE(rounded->implementation().find("tensor cores"), std::string::npos);
  EXPECT_EQ(exact->implementation().find("tensor cores"), std::string::npos);
}

TEST(PlansTest, WorkspaceStaysUnderItsLimit) {
  const OperationGraph graph =  // of ResNet's first convolution
      convolution_grad_weight_graph({.dtype = DType::bf16,
                                     .batch = 128,
                                     .x = {8, 224, 224},
                                     .y = {64, 112, 112},
                                     .kernel = {7, 7},
                                     .stride = {2, 2},
                                     .padding = {3, 3},
                                     .dilation = {1, 1},
                                     .groups = 1});
  const auto free = planner_of(90).plan(graph);
  ASSERT_GT(free->workspace_bytes(), 0);
  const int64_t limit = free->workspace_bytes() - 1;
  const auto limited = planner_of(90, {.most_workspace_bytes = limit}).plan(graph);
  EXPECT_LE(limited->workspace_bytes(), limit);
}

}  // namespace
}  // namespace lockstep::testing
