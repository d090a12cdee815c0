#include <gtest/gtest.h>

#include "plan/parameters.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

class InsertAllReduceTest : public ::testing::Test {
 protected:
  const Graph graph_ =
      order_launches(transform_graph(residual_request(), framework_ops(), supports_everything));
  const ParameterLayout layout_ = layout_parameters(graph_);
};

TEST_F(InsertAllReduceTest, BucketsCoverTheGradientArenaWithoutGap) {
  for (int64_t bytes : {1, 600, 1 << 20}) {
    const auto buckets = insert_all_reduce(graph_, layout_, bytes);
    int64_t end = 0;
    for (const Bucket& bucket : buckets) {
      EXPECT_EQ(bucket.offset, end);
      end = bucket.offset + bucket.count;
    }
    EXPECT_EQ(end, layout_.gradient_elements());
  }
}

TEST_F(InsertAllReduceTest, SmallBucketsHoldOneTensorEachAndFillInOrder) {
  const auto buckets = insert_all_reduce(graph_, layout_, 1);
  EXPECT_EQ(buckets.size(), 8u);
  for (size_t i = 1; i < buckets.size(); ++i) EXPECT_GE(buckets[i].after, buckets[i - 1].after);
  EXPECT_LT(buckets.front().after, buckets.back().after);
}

TEST_F(InsertAllReduceTest, ABucketIsReadyWhenItsLastGradientIsWritten) {
  const auto buckets = insert_all_reduce(graph_, layout_, 600);
  for (const Output& output : graph_.outputs(Role::gradient)) {
    const int64_t offset = layout_.find_parameter(output.name)->offset;
    for (const Bucket& bucket : buckets) {
      const bool inside = bucket.offset <= offset && offset < bucket.offset + bucket.count;
      if (inside) {
        EXPECT_GE(bucket.after, output.value.node) << output.name;
      }
    }
  }
}

TEST_F(InsertAllReduceTest, TheOrderIsThatOfAnyBatchSize) {
  const Graph other = order_launches(
      transform_graph(residual_request(Mode::training, 5), framework_ops(), supports_everything));
  const ParameterLayout layout = layout_parameters(other);
  ASSERT_EQ(layout.parameters.size(), layout_.parameters.size());
  for (size_t i = 0; i < layout.parameters.size(); ++i) {
    EXPECT_EQ(layout.parameters[i].name, layout_.parameters[i].name);
    EXPECT_EQ(layout.parameters[i].offset, layout_.parameters[i].offset);
  }
}

}  // namespace
}  // namespace lockstep::testing
