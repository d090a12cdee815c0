#include <gtest/gtest.h>

#include "ops/attributes.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

class FoldBatchNormTest : public ::testing::Test {
 protected:
  Value image(Shape shape = {2, 4, 6, 6}) { return graph_.input("image", {DType::f32, shape}); }
  Value conv(const char* name, Value x, bool bias = false) {
    return nn::conv2d(scope_ / name, x, {.out = 4, .kernel = 3, .padding = 1, .bias = bias});
  }
  Graph folded() const { return fold_batch_norm(graph_, supports_everything); }
  static const Conv2dAttributes& attributes(const Graph& graph, const char* name) {
    return graph.find("conv2d_inference", name)->attributes.as<Conv2dAttributes>();
  }

  Graph graph_{Mode::evaluation, framework_ops()};
  Scope scope_{graph_};
};

TEST_F(FoldBatchNormTest, TakesBatchNormShortcutAndReluIntoTheConvolution) {
  const Graph graph = fold_batch_norm(
      build_graph(residual_request(Mode::evaluation), framework_ops()), supports_everything);
  for (const char* op : {"conv2d", "batch_norm_inference", "add", "relu", "linear"}) {
    EXPECT_EQ(count_ops(graph, op), 0) << op;
  }
  const auto& first = attributes(graph, "conv1");
  EXPECT_TRUE(first.batch_norm && first.relu);
  EXPECT_FALSE(first.residual);
  const Node* second = graph.find("conv2d_inference", "conv2");
  EXPECT_TRUE(second->attributes.as<Conv2dAttributes>().residual);
  EXPECT_TRUE(second->attributes.as<Conv2dAttributes>().relu);
  EXPECT_EQ(graph.node(second->inputs[2]).label, "conv1") << "the residual follows x and w";
  EXPECT_EQ(second->inputs.size(), 7u);
  EXPECT_NE(graph.find("linear_inference", "fc"), nullptr);
}

TEST_F(FoldBatchNormTest, KeepsEpsilonAndBias) {
  const Value y = nn::batch_norm(scope_ / "bn", conv("conv", image(), true), {.epsilon = 1e-3});
  graph_.output(Role::features, "", y);
  const Graph graph = folded();
  EXPECT_EQ(attributes(graph, "conv").epsilon, 1e-3);
  EXPECT_TRUE(attributes(graph, "conv").bias);
  const Node& node = graph.node(graph.find_output(Role::features)->value);
  EXPECT_EQ(node.op, "conv2d_inference") << "an output follows its value";
  EXPECT_EQ(graph.node(node.inputs[2]).label, "conv.bias");
  EXPECT_EQ(graph.node(node.inputs[6]).label, "bn.running_var");
}

TEST_F(FoldBatchNormTest, LeavesAValueThatSomebodyElseReads) {
  const Value y = conv("conv", image());
  graph_.output(Role::features, "", nn::relu(nn::batch_norm(scope_ / "bn", y)));
  graph_.output(Role::logits, "", nn::flatten(y));
  const Graph graph = folded();
  EXPECT_FALSE(attributes(graph, "conv").batch_norm);
  EXPECT_EQ(count_ops(graph, "batch_norm_inference"), 1);
  EXPECT_EQ(count_ops(graph, "relu"), 1);
}

TEST_F(FoldBatchNormTest, LeavesAValueThatIsAResult) {
  const Value y = nn::batch_norm(scope_ / "bn", conv("conv", image()));
  graph_.output(Role::features, "", y);
  graph_.output(Role::logits, "", nn::flatten(nn::relu(y)));
  const Graph graph = folded();
  EXPECT_TRUE(attributes(graph, "conv").batch_norm);
  EXPECT_FALSE(attributes(graph, "conv").relu);
  EXPECT_EQ(count_ops(graph, "relu"), 1);
}

TEST_F(FoldBatchNormTest, TheLaterOfTwoConvolutionsTakesTheirSum) {
  const Value x = image();
  const Value early = nn::batch_norm(scope_ / "bn1", conv("early", x));
  const Value late = nn::batch_norm(scope_ / "bn2", conv("late", x));
  graph_.output(Role::features, "", nn::relu(early + late));
  const Graph graph = folded();
  EXPECT_FALSE(attributes(graph, "early").residual);
  EXPECT_TRUE(attributes(graph, "early").batch_norm);
  EXPECT_TRUE(attributes(graph, "late").residual);
  EXPECT_TRUE(attributes(graph, "late").relu);
  EXPECT_EQ(count_ops(graph, "add"), 0);
}

TEST_F(FoldBatchNormTest, AnEarlierConvolutionTakesItsSumWithALaterValueOfAnotherKind) {
  const Value x = image();
  const Value y = conv("conv", x);
  graph_.output(Role::features, "", y + nn::tanh(x));
  const Graph graph = folded();
  EXPECT_TRUE(attributes(graph, "conv").residual);
  EXPECT_EQ(count_ops(graph, "add"), 0);
}

TEST_F(FoldBatchNormTest, LeavesTheSumOfAValueWithItself) {
  const Value y = conv("conv", image());
  graph_.output(Role::features, "", nn::relu(y + y));
  const Graph graph = folded();
  EXPECT_FALSE(attributes(graph, "conv").residual);
  EXPECT_EQ(count_ops(graph, "add"), 1);
}

TEST_F(FoldBatchNormTest, LeavesWeightsThatAreComputed) {
  const Value x = image();
  const Value w = nn::tanh(scope_.parameter("w", {4, 4, 1, 1}, Init::ones()));
  const Value y = graph_.apply("conv2d", {x, w}, Attributes::of(Conv2dAttributes{}), "conv");
  graph_.output(Role::features, "", y);
  EXPECT_EQ(print(folded()), print(graph_));
}

TEST_F(FoldBatchNormTest, TakesReluIntoALinearLayer) {
  const Value x = graph_.input("image", {DType::f32, {2, 6}});
  graph_.output(Role::logits, "", nn::relu(nn::linear(scope_ / "fc", x, {.out = 3})));
  const Graph graph = folded();
  EXPECT_TRUE(graph.find("linear_inference", "fc")->attributes.as<LinearAttributes>().relu);
  EXPECT_EQ(count_ops(graph, "relu"), 0);
}

TEST_F(FoldBatchNormTest, KeepsThePartsOfADeviceWithoutTheOp) {
  const Graph built = build_graph(residual_request(Mode::evaluation), framework_ops());
  EXPECT_EQ(print(fold_batch_norm(built, supports_nothing_fused)), print(built));
}

}  // namespace
}  // namespace lockstep::testing
