// What frozen parameters leave of a graph: freeze_batch_norm and cut_at_features.
#include <gtest/gtest.h>

#include "base/patterns.hpp"
#include "support/expect_error.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

PlanRequest frozen_request(std::vector<std::string> patterns) {
  PlanRequest request = residual_request();
  request.trainable = [frozen = NamePatterns(std::move(patterns))](std::string_view name) {
    return !frozen.covers(name);
  };
  return request;
}

Graph transform(const PlanRequest& request) {
  return transform_graph(request, framework_ops(), supports_everything);
}

TEST(FreezeTest, AFrozenBatchNormUsesItsRunningMomentsAndUpdatesNone) {
  const Graph graph = transform(frozen_request({"bn1"}));
  EXPECT_EQ(graph.find("batch_norm", "bn1"), nullptr);
  ASSERT_NE(graph.find("batch_norm_inference", "bn1"), nullptr);
  EXPECT_NE(graph.find("batch_norm", "bn2"), nullptr);
  EXPECT_EQ(graph.find_output(Role::statistic, "bn1.running_mean"), nullptr);
  EXPECT_NE(graph.find_output(Role::statistic, "bn2.running_mean"), nullptr);
  EXPECT_NE(graph.find_output(Role::gradient, "conv1.weight"), nullptr)
      << "what lies before a frozen batch norm still learns";
}

TEST(FreezeTest, AHalfFrozenBatchNormStaysOneOfTraining) {
  const Graph graph = transform(frozen_request({"bn1.weight"}));
  EXPECT_NE(graph.find("batch_norm", "bn1"), nullptr);
  EXPECT_EQ(graph.find_output(Role::gradient, "bn1.weight"), nullptr);
  EXPECT_NE(graph.find_output(Role::gradient, "bn1.bias"), nullptr);
}

TEST(FreezeTest, AFrozenBatchNormIsNotReduced) {
  PlanRequest request = frozen_request({"bn1"});
  request.sync_batch_norm = true;
  EXPECT_EQ(count_ops(transform(request), "all_reduce"), 2);
}

TEST(FreezeTest, AFrozenPrefixCostsNoBackward) {
  const Graph graph = transform(frozen_request({"*", "!fc"}));
  EXPECT_EQ(count_ops(graph, "conv2d_grad_weight"), 0);
  EXPECT_EQ(count_ops(graph, "conv2d_grad_input"), 0);
  EXPECT_EQ(count_ops(graph, "linear_grad_input"), 0);
  EXPECT_EQ(count_ops(graph, "linear_grad_weight"), 1);
}

ModelOutput model_with_features(Scope s, Value x) {
  x = nn::relu(nn::batch_norm(s / "bn", nn::conv2d(s / "conv", x, {.out = 8, .kernel = 3})));
  const Value features = nn::global_avg_pool(x);
  return {nn::linear(s / "fc", features, {.out = 4}), {}, features};
}

TEST(CutAtFeaturesTest, LeavesTheHeadAndAllParameters) {
  PlanRequest request = frozen_request({"*", "!fc"});
  request.model = model_with_features;
  request.features = count_features(request, framework_ops());
  EXPECT_EQ(request.features, 8);
  EXPECT_EQ(request.sample(), (Shape{1, 1, 32}));
  const Graph graph = transform(request);
  EXPECT_EQ(count_ops(graph, "conv2d"), 0);
  EXPECT_EQ(graph.find("input", "image"), nullptr);
  EXPECT_EQ(graph.find("input", "features")->outputs[0].shape, (Shape{6, 8}));
  EXPECT_NE(graph.find("parameter", "conv.weight"), nullptr) << "checkpoints hold the whole";
  EXPECT_NE(graph.find_output(Role::gradient, "fc.weight"), nullptr);
}

TEST(CutAtFeaturesTest, RefusesFeaturesThatChange) {
  const auto cut = [](std::vector<std::string> frozen, auto model) {
    PlanRequest request = frozen_request(std::move(frozen));
    request.model = model;
    request.features = 8;
    transform(request);
  };
  expect_error(
      [&] {
        cut({"*", "!fc", "!conv"}, model_with_features);
      },
      Failure::usage, "conv.weight before them is trained");
  expect_error([&] { cut({"bn"}, model_with_features); }, Failure::usage,
               "conv.weight before them is trained");
  expect_error([&] { cut({"*"}, residual_model); }, Failure::usage, "does not say");
  const auto with_dropout = [](Scope s, Value x) -> ModelOutput {
    const Value features = nn::dropout(
        s / "drop", nn::flatten(nn::conv2d(s / "conv", x, {.out = 2, .kernel = 3})), 0.5);
    return {nn::linear(s / "fc", features, {.out = 4}), {}, features};
  };
  expect_error([&] { cut({"conv"}, with_dropout); }, Failure::usage,
               "dropout drop before them differs");
  const auto with_auxiliary_head = [](Scope s, Value x) -> ModelOutput {
    const Value y = nn::conv2d(s / "conv", x, {.out = 2, .kernel = 3});
    const Value features = nn::global_avg_pool(y);
    return {nn::linear(s / "fc", features, {.out = 4}),
            {{nn::linear(s / "aux", nn::flatten(y), {.out = 4}), 0.3}},
            features};
  };
  expect_error([&] { cut({"conv"}, with_auxiliary_head); }, Failure::usage,
               "needs the picture beside them");
}

}  // namespace
}  // namespace lockstep::testing
