#include "graph/graph.hpp"

#include <gtest/gtest.h>

#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "support/expect_error.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

const TensorType kImage{DType::f32, {2, 3, 4, 4}};

TEST(GraphTest, GivesTheSameInputForTheSameName) {
  Graph graph(Mode::training, framework_ops());
  const Value first = graph.input("x", kImage);
  EXPECT_EQ(graph.input("x", kImage).id(), first.id());
  EXPECT_EQ(graph.nodes().size(), 1u);
  expect_error(
      [&] {
        graph.input("x", {DType::u8, {2}});
      },
      Failure::usage, "input x: asked for as u8(2); it is f32(2, 3, 4, 4) already");
}

TEST(GraphTest, RefusesAParameterNameUsedTwice) {
  Graph graph(Mode::training, framework_ops());
  const Scope scope = Scope(graph) / "bn";
  scope.parameter("weight", {3}, Init::ones());
  expect_error([&] { scope.buffer("weight", {3}, {}); }, Failure::usage,
               "buffer bn.weight: defined twice");
  expect_error([&] { scope.parameter("weight", {3}, Init::ones()); }, Failure::usage,
               "parameter bn.weight: defined twice");
}

TEST(GraphTest, RefusesAnOutputSetTwice) {
  Graph graph(Mode::training, framework_ops());
  const Value x = graph.input("x", kImage);
  graph.output(Role::logits, "", x);
  expect_error([&] { graph.output(Role::logits, "", x); }, Failure::usage, "output logits ''");
}

TEST(GraphTest, RefusesValuesOfAnotherGraphAndUnknownOps) {
  Graph graph(Mode::training, framework_ops());
  Graph other(Mode::training, framework_ops());
  const Value x = graph.input("x", kImage);
  expect_error(
      [&] {
        graph.apply("add", {x, other.input("x", kImage)});
      },
      Failure::usage, "add: input 1 is no value of this graph");
  expect_error([&] { graph.apply("relu", {Value{}}); }, Failure::usage, "relu: input 0");
  expect_error([&] { graph.apply("max_pool", {x}); }, Failure::usage, "max_pool2d");
}

TEST(GraphTest, NamesTheLayerAndTheOpInShapeErrors) {
  Graph graph(Mode::training, framework_ops());
  const Value x = graph.input("x", kImage);
  expect_error(
      [&] { nn::conv2d(Scope(graph) / "layer1" / 0 / "conv1", x, {.out = 8, .kernel = 7}); },
      Failure::usage,
      "layer1.0.conv1: conv2d: input (2, 3, 4, 4) has no room for a kernel of 7 x 7 with "
      "padding 0 x 0; the images are too small for this model");
}

TEST(GraphTest, LabelsUnnamedNodesByTheirFirstInput) {
  Graph graph(Mode::training, framework_ops());
  const Value x =
      nn::conv2d(Scope(graph) / "conv1", graph.input("x", kImage), {.out = 8, .kernel = 3});
  const Value y = nn::max_pool2d(nn::relu(x), {.kernel = 2, .stride = 2});
  EXPECT_EQ(graph.node(x.id()).label, "conv1");
  EXPECT_EQ(graph.node(y.id()).label, "conv1/max_pool2d");
}

TEST(GraphTest, PrintsOneLinePerNodeAndOutput) {
  Graph graph(Mode::evaluation, framework_ops());
  const Value x = graph.input("image", kImage);
  const Value y = nn::conv2d(Scope(graph) / "conv1", x, {.out = 8, .kernel = 3, .padding = 1});
  graph.output(Role::logits, "", nn::max_pool2d(y, {.kernel = 2, .stride = 2}));
  EXPECT_EQ(print(graph), R"(%0 = input -> f32(2, 3, 4, 4)   # image
%1 = parameter init={ kind = "he_normal_fan_out", value = 0.0 } -> f32(8, 3, 3, 3)   # conv1.weight
%2 = conv2d padding=[1, 1] %0 %1 -> f32(2, 8, 4, 4)   # conv1
%3 = max_pool2d kernel=[2, 2] stride=[2, 2] %2 -> f32(2, 8, 2, 2), u8(2, 8, 2, 2)   # conv1/max_pool2d
logits = %3
)");
}

TEST(GraphTest, ListsEachUserOnce) {
  Graph graph(Mode::training, framework_ops());
  const Value x = graph.input("x", kImage);
  const Value sum = x + x;
  nn::relu(sum);
  EXPECT_EQ(users(graph), (std::vector<std::vector<int32_t>>{{1}, {2}, {}}));
}

TEST(GraphRewriterTest, CopiesAGraphAndReplacesANode) {
  Graph graph(Mode::training, framework_ops());
  graph.output(Role::logits, "", nn::relu(nn::relu(graph.input("x", kImage))));
  GraphRewriter rewrite(graph);
  rewrite.copy(0);
  rewrite.replace({1, 0}, rewrite.target().apply("tanh", {rewrite.value({0, 0})}).id());
  rewrite.copy(2);
  const Graph changed = rewrite.finish();
  ASSERT_EQ(changed.nodes().size(), 3u);
  EXPECT_EQ(changed.nodes()[1].op, "tanh");
  EXPECT_EQ(changed.nodes()[2].op, "relu");
  EXPECT_EQ(changed.find_output(Role::logits)->value, (ValueId{2, 0}));
}

TEST(OpRegistryTest, RefusesANameTwice) {
  OpRegistry ops;
  add_framework_ops(ops);
  expect_error([&] { ops.add(ops.at("relu")); }, Failure::usage, "op relu: registered twice");
}

}  // namespace
}  // namespace lockstep::testing
