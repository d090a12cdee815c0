#include "graph/nn.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "ops/attributes.hpp"
#include "support/expect_error.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

const ParameterAttributes& parameter(const Graph& graph, std::string_view name) {
  return graph.find("parameter", name)->attributes.as<ParameterAttributes>();
}

TEST(NnTest, InitialisesConvolutionsByHeAndTheirBiasByFanIn) {
  Graph graph(Mode::training, framework_ops());
  const Value x = graph.input("x", {DType::f32, {2, 4, 8, 8}});
  nn::conv2d(Scope(graph) / "conv", x, {.out = 6, .kernel = 3, .groups = 2, .bias = true});
  EXPECT_EQ(graph.find("parameter", "conv.weight")->outputs[0].shape, (Shape{6, 2, 3, 3}));
  EXPECT_EQ(parameter(graph, "conv.weight").init.kind, Init::he_normal_fan_out);
  EXPECT_EQ(parameter(graph, "conv.weight").kind, ParameterKind::weight);
  EXPECT_EQ(parameter(graph, "conv.bias").init.kind, Init::uniform_fan_in);
  EXPECT_EQ(parameter(graph, "conv.bias").init.value, 18);
  EXPECT_EQ(parameter(graph, "conv.bias").kind, ParameterKind::bias);
}

TEST(NnTest, InitialisesLinearLayersByFanIn) {
  Graph graph(Mode::training, framework_ops());
  nn::linear(Scope(graph) / "fc", graph.input("x", {DType::f32, {2, 12}}), {.out = 5});
  for (const char* name : {"fc.weight", "fc.bias"}) {
    EXPECT_EQ(parameter(graph, name).init.kind, Init::uniform_fan_in);
    EXPECT_EQ(parameter(graph, name).init.value, 12);
  }
}

TEST(NnTest, BatchNormInTrainingGivesThisShardsShareOfTheRunningMoments) {
  Graph graph(Mode::training, framework_ops());
  const Value x = graph.input("x", {DType::f32, {2, 4, 8, 8}});
  nn::batch_norm(Scope(graph) / "bn", x, {.momentum = 0.2});
  const Output* mean = graph.find_output(Role::statistic, "bn.running_mean");
  const Output* variance = graph.find_output(Role::statistic, "bn.running_var");
  ASSERT_TRUE(mean != nullptr && variance != nullptr);
  EXPECT_EQ(variance->value, (ValueId{mean->value.node, 1}));
  const Node& statistics = graph.node(mean->value);
  EXPECT_EQ(statistics.attributes.as<BatchStatisticsAttributes>().count, 2 * 8 * 8);
  EXPECT_EQ(graph.node(statistics.inputs[2]).label, "shard_fraction");
  const Node* running_var = graph.find("buffer", "bn.running_var");
  EXPECT_EQ(running_var->attributes.as<BufferAttributes>().initial, 1);
  EXPECT_EQ(running_var->attributes.as<BufferAttributes>().momentum, 0.2);
  EXPECT_EQ(parameter(graph, "bn.weight").kind, ParameterKind::norm);
  EXPECT_EQ(parameter(graph, "bn.bias").kind, ParameterKind::norm);
}

TEST(NnTest, BatchNormInEvaluationReadsTheRunningMoments) {
  Graph graph(Mode::evaluation, framework_ops());
  const Value x = graph.input("x", {DType::f32, {2, 4, 8, 8}});
  const Node& node = graph.node(nn::batch_norm(Scope(graph) / "bn", x).id());
  EXPECT_EQ(node.op, "batch_norm_inference");
  EXPECT_EQ(graph.node(node.inputs[3]).label, "bn.running_mean");
  EXPECT_EQ(graph.node(node.inputs[4]).label, "bn.running_var");
  EXPECT_TRUE(graph.outputs(Role::statistic).empty());
}

TEST(NnTest, DefinesTheSameParametersAndBuffersInBothModes) {
  std::vector<std::string> names[2];
  for (const Mode mode : {Mode::training, Mode::evaluation}) {
    Graph graph(mode, framework_ops());
    residual_model(graph, graph.input("x", {DType::f32, {2, 3, 8, 8}}));
    for (const Node& node : graph.nodes()) {
      if (node.op == "parameter" || node.op == "buffer") {
        names[static_cast<size_t>(mode)].push_back(node.label);
      }
    }
  }
  EXPECT_EQ(names[0], names[1]);
}

TEST(NnTest, DropoutIsNothingInEvaluationAndWithProbabilityZero) {
  Graph evaluation(Mode::evaluation, framework_ops());
  const Value x = evaluation.input("x", {DType::f32, {2, 4}});
  EXPECT_EQ(nn::dropout(evaluation, x, 0.5).id(), x.id());
  Graph training(Mode::training, framework_ops());
  const Value y = training.input("x", {DType::f32, {2, 4}});
  EXPECT_EQ(nn::dropout(training, y, 0).id(), y.id());
}

TEST(NnTest, DropoutInTrainingHasANumberOfItsOwn) {
  Graph graph(Mode::training, framework_ops());
  const Scope scope = Scope(graph) / "drop";
  const Value y = nn::dropout(scope, graph.input("x", {DType::f32, {2, 4}}), 0.5);
  EXPECT_EQ(graph.node(y.id()).attributes.as<DropoutAttributes>().layer, hash_name("drop"));
  EXPECT_EQ(graph.find("input", "indices")->outputs[0], (TensorType{DType::i64, {2}}));
}

TEST(NnTest, RefusesLayersThatDoNotFitTheirInput) {
  Graph graph(Mode::training, framework_ops());
  const Scope scope = Scope(graph) / "layer";
  const Value flat = graph.input("flat", {DType::f32, {2, 12}});
  const Value image = graph.input("image", {DType::f32, {2, 4, 8, 8}});
  expect_error([&] { nn::conv2d(scope, flat, {.out = 8, .kernel = 3}); }, Failure::usage,
               "layer: conv2d: x is f32(2, 12); expected (N, C, H, W)");
  expect_error([&] { nn::batch_norm(scope, flat); }, Failure::usage, "layer: batch_norm: x is");
  expect_error([&] { nn::linear(scope, image, {.out = 8}); }, Failure::usage,
               "layer: linear: x is f32(2, 4, 8, 8); expected (N, K)");
  expect_error([&] { nn::conv2d(scope, image, {.out = 8, .kernel = 3, .groups = 0}); },
               Failure::usage, "layer: conv2d: groups is 0");
  expect_error([&] { nn::concat({}); }, Failure::usage, "concat: no values");
}

}  // namespace
}  // namespace lockstep::testing
