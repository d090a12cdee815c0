#include <gtest/gtest.h>

#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

Graph training_graph() {
  return order_launches(transform_graph(residual_request(), framework_ops(), supports_everything));
}

// Everything in the activations arena but the memory that outlives a step.
std::map<ValueId, Address> fixed_inputs(const Graph& graph) {
  std::map<ValueId, Address> fixed;
  int64_t offset = 0;
  for (int32_t i = 0; i < static_cast<int32_t>(graph.nodes().size()); ++i) {
    if (!graph.nodes()[static_cast<size_t>(i)].inputs.empty()) continue;
    fixed[{i, 0}] = {Arena::parameters, offset};
    offset += graph.type({i, 0}).bytes();
  }
  return fixed;
}

TEST(PlanMemoryTest, NoTwoLiveValuesOverlap) {
  const Graph graph = training_graph();
  verify_memory_plan(graph, plan_memory(graph, fixed_inputs(graph)));
}

TEST(PlanMemoryTest, VerificationFindsAnOverlap) {
  const Graph graph = training_graph();
  MemoryPlan plan = plan_memory(graph, fixed_inputs(graph));
  const ValueId conv1{static_cast<int32_t>(graph.find_all("conv2d")[0]), 0};
  const ValueId conv2{static_cast<int32_t>(graph.find_all("conv2d")[1]), 0};
  plan.addresses[conv2] = plan.addresses[conv1];  // both are kept for backward
  EXPECT_DEATH(verify_memory_plan(graph, plan), "overlap");
}

TEST(PlanMemoryTest, ReusesMemory) {
  const Graph graph = training_graph();
  const MemoryPlan plan = plan_memory(graph, fixed_inputs(graph));
  EXPECT_LT(plan.peak_bytes, plan.sum_bytes * 8 / 10);
}

TEST(PlanMemoryTest, EvaluationNeedsAFewActivationsAtATime) {
  const Graph graph = order_launches(
      transform_graph(residual_request(Mode::evaluation), framework_ops(), supports_everything));
  const MemoryPlan plan = plan_memory(graph, fixed_inputs(graph));
  const int64_t activation = 6 * 8 * 8 * 8 * 4;  // (N, 8, 8, 8) of f32
  EXPECT_LE(plan.peak_bytes, 3 * activation + 4096);
}

}  // namespace
}  // namespace lockstep::testing
