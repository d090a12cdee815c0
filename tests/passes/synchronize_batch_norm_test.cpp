#include <gtest/gtest.h>

#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

TEST(SynchronizeBatchNormTest, ReducesOncePerLayerAndDirection) {
  PlanRequest request = residual_request();
  request.sync_batch_norm = true;
  const Graph graph = transform_graph(request, framework_ops(), supports_everything);
  EXPECT_EQ(count_ops(graph, "batch_norm"), 0);
  EXPECT_EQ(count_ops(graph, "batch_norm_apply"), 2);
  EXPECT_EQ(count_ops(graph, "all_reduce"), 4);
  EXPECT_EQ(graph.outputs(Role::statistic).size(), 4u);
}

TEST(SynchronizeBatchNormTest, LeavesEvaluationAlone) {
  PlanRequest request = residual_request(Mode::evaluation);
  request.sync_batch_norm = true;
  EXPECT_EQ(count_ops(transform_graph(request, framework_ops(), supports_everything), "all_reduce"),
            0);
}

}  // namespace
}  // namespace lockstep::testing
