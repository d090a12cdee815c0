// What gradient rules append: only what is needed, in the form kernels expect. Numbers:
// conformance/.
#include <gtest/gtest.h>

#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "support/expect_error.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

const TensorType kImage{DType::f32, {2, 6, 8, 8}};
const TensorType kChannels{DType::f32, {6}};

// One node over inputs of given types, and its gradient rule applied with an input "dy" for the
// first output.
class Rule {
 public:
  Rule(std::string_view op, const std::vector<TensorType>& types, Attributes attributes) {
    for (size_t i = 0; i < types.size(); ++i) {
      inputs.push_back(graph.input(lockstep::concat('x', i), types[i]));
    }
    output = graph.apply(op, inputs, std::move(attributes), "here");
  }

  std::vector<Value> gradients(const std::vector<bool>& needed, int32_t port = 0) {
    const Node& node = graph.node(output.id());
    std::vector<Value> outputs;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      outputs.push_back({&graph, {output.id().node, static_cast<int32_t>(i)}});
    }
    std::vector<Value> d_outputs(outputs.size());
    const auto reached = static_cast<size_t>(port);
    d_outputs[reached] = graph.input("dy", outputs[reached].type());
    first = graph.nodes().size();
    return graph.ops().at(node.op).gradient({node, graph, inputs, outputs, d_outputs, needed});
  }

  // Ops that the rule appended.
  std::vector<std::string> appended() const {
    std::vector<std::string> ops;
    for (size_t i = first; i < graph.nodes().size(); ++i) ops.push_back(graph.nodes()[i].op);
    return ops;
  }
  const Node& last() const { return graph.nodes().back(); }

  Graph graph{Mode::training, framework_ops()};
  std::vector<Value> inputs;
  Value output;
  size_t first = 0;
};

using Ops = std::vector<std::string>;

Rule convolution() {
  return {"conv2d",
          {kImage, {DType::f32, {4, 6, 3, 3}}, {DType::f32, {4}}},
          Attributes::of(Conv2dAttributes{.bias = true})};
}

TEST(GradientRulesTest, ConvolutionComputesOnlyWhatIsNeeded) {
  Rule all = convolution();
  const auto gradients = all.gradients({true, true, true});
  EXPECT_EQ(all.appended(), (Ops{"conv2d_grad_input", "conv2d_grad_weight"}));
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(gradients[i].type(), all.inputs[i].type());

  Rule first_layer = convolution();
  EXPECT_FALSE(first_layer.gradients({false, true, false})[0]);
  EXPECT_EQ(first_layer.appended(), (Ops{"conv2d_grad_weight"}));
  EXPECT_FALSE(first_layer.last().attributes.as<Conv2dAttributes>().bias);

  Rule frozen = convolution();
  EXPECT_FALSE(frozen.gradients({true, false, false})[1]);
  EXPECT_EQ(frozen.appended(), (Ops{"conv2d_grad_input"}));
}

TEST(GradientRulesTest, LinearComputesOnlyWhatIsNeeded) {
  Rule rule("linear", {{DType::f32, {2, 6}}, {DType::f32, {4, 6}}, {DType::f32, {4}}},
            Attributes::of(LinearAttributes{true}));
  const auto gradients = rule.gradients({false, true, true});
  EXPECT_FALSE(gradients[0]);
  EXPECT_EQ(gradients[2].type(), rule.inputs[2].type());
  EXPECT_EQ(rule.appended(), (Ops{"linear_grad_weight"}));
}

TEST(GradientRulesTest, BatchNormSavesItsOutputOnlyForRelu) {
  Rule plain("batch_norm", {kImage, kChannels, kChannels}, Attributes::of(BatchNormAttributes{}));
  plain.gradients({true, true, true});
  EXPECT_EQ(plain.last().inputs.size(), 5u);
  Rule fused("batch_norm", {kImage, kChannels, kChannels, kImage},
             Attributes::of(BatchNormAttributes{.relu = true, .residual = true}));
  const auto gradients = fused.gradients({true, true, true, true});
  EXPECT_EQ(fused.last().inputs.size(), 6u);
  EXPECT_EQ(fused.last().inputs[5], fused.output.id());
  EXPECT_EQ(gradients[3].id().port, 3);
}

TEST(GradientRulesTest, BatchNormGivesNoGradientToAFrozenResidual) {
  Rule rule("batch_norm", {kImage, kChannels, kChannels, kImage},
            Attributes::of(BatchNormAttributes{.residual = true}));
  EXPECT_FALSE(rule.gradients({true, true, true, false})[3]);
  EXPECT_EQ(rule.last().outputs.size(), 3u);
}

TEST(GradientRulesTest, BatchNormRefusesALossOfItsMoments) {
  Rule rule("batch_norm", {kImage, kChannels, kChannels}, Attributes::of(BatchNormAttributes{}));
  expect_error([&] { rule.gradients({true, true, true}, 1); }, Failure::usage, "here: batch_norm:");
}

TEST(GradientRulesTest, SynchronisedBatchNormReducesSumsBetweenItsTwoParts) {
  const std::vector<TensorType> types{kImage, {DType::f64, {13}}, kChannels, kChannels};
  Rule rule("batch_norm_apply", types, Attributes::of(BatchNormAttributes{}));
  const auto gradients = rule.gradients({true, true, true, true});
  EXPECT_EQ(rule.appended(), (Ops{"batch_norm_grad_sums", "all_reduce", "batch_norm_grad_apply"}));
  EXPECT_FALSE(gradients[1]);
  EXPECT_EQ(gradients[0].type(), kImage);
  EXPECT_EQ(gradients[3].type(), kChannels);

  Rule first("batch_norm_apply", types, Attributes::of(BatchNormAttributes{}));
  first.gradients({false, false, true, true});
  EXPECT_EQ(first.appended(), (Ops{"batch_norm_grad_sums"}));
}

TEST(GradientRulesTest, MaxPoolSavesItsIndexAlone) {
  Rule rule("max_pool2d", {kImage},
            Attributes::of(PoolAttributes{.kernel = {2, 2}, .stride = {2, 2}}));
  EXPECT_EQ(rule.gradients({true})[0].type(), kImage);
  EXPECT_EQ(rule.last().inputs[1], (ValueId{rule.output.id().node, 1}));
}

TEST(GradientRulesTest, PointwiseFunctionsSaveTheirOutputAlone) {
  Rule rule("tanh", {kImage}, {});
  rule.gradients({true});
  EXPECT_EQ(rule.appended(), (Ops{"tanh_grad"}));
  EXPECT_EQ(rule.last().inputs[0], rule.output.id());
}

TEST(GradientRulesTest, ConcatSlicesAndPadAndSliceAreEachOthersGradient) {
  Rule concat("concat", {kImage, kImage, kImage}, {});
  const auto gradients = concat.gradients({true, false, true});
  EXPECT_FALSE(gradients[1]);
  EXPECT_EQ(concat.last().attributes.as<ChannelsAttributes>().begin, 12);
  Rule slice("slice_channels", {kImage}, Attributes::of(ChannelsAttributes{1, 3}));
  EXPECT_EQ(slice.gradients({true})[0].type(), kImage);
  EXPECT_EQ(slice.last().op, "pad_channels");
  Rule pad("pad_channels", {kImage}, Attributes::of(ChannelsAttributes{1, 3}));
  EXPECT_EQ(pad.gradients({true})[0].type(), kImage);
  EXPECT_EQ(pad.last().op, "slice_channels");
}

TEST(GradientRulesTest, AddPassesTheGradientOnWithoutANode) {
  Rule rule("add", {kImage, kImage}, {});
  const auto gradients = rule.gradients({true, false});
  EXPECT_EQ(gradients[0].id(), rule.graph.input("dy", kImage).id());
  EXPECT_FALSE(gradients[1]);
  EXPECT_TRUE(rule.appended().empty());
}

TEST(GradientRulesTest, EveryOtherRuleGivesTheTypeOfItsInput) {
  const TensorType ids{DType::i64, {2}};
  const std::vector<std::tuple<std::string, std::vector<TensorType>, Attributes>> cases{
      {"scale", {kImage}, Attributes::of(ScaleAttributes{2})},
      {"subsample", {kImage}, Attributes::of(SubsampleAttributes{3})},
      {"avg_pool2d", {kImage}, Attributes::of(PoolAttributes{.kernel = {3, 2}})},
      {"adaptive_avg_pool2d", {kImage}, Attributes::of(AdaptivePoolAttributes{{3, 5}})},
      {"reshape", {kImage}, Attributes::of(ReshapeAttributes{{2, 384}})},
      {"dropout", {kImage, ids, ids}, Attributes::of(DropoutAttributes{})},
      {"softmax_cross_entropy",
       {{DType::f32, {2, 5}}, {DType::i32, {2}}, {DType::f32, {2}}},
       Attributes::of(SoftmaxCrossEntropyAttributes{0.1})},
  };
  for (const auto& [op, types, attributes] : cases) {
    SCOPED_TRACE(op);
    Rule rule(op, types, attributes);
    const auto gradients = rule.gradients(std::vector<bool>(types.size(), true));
    EXPECT_EQ(gradients[0].type(), types[0]);
    for (size_t i = 1; i < gradients.size(); ++i) EXPECT_FALSE(gradients[i]);
  }
}

TEST(GradientRulesTest, EvaluationBatchNormTakesItsMomentsAsConstants) {
  const TensorType x{DType::f32, {2, 3, 4, 4}}, channels{DType::f32, {3}};
  Rule rule("batch_norm_inference", {x, channels, channels, channels, channels, x},
            Attributes::of(BatchNormAttributes{.relu = true, .residual = true}));
  const auto gradients = rule.gradients(std::vector<bool>(6, true));
  EXPECT_EQ(gradients[0].type(), x);
  EXPECT_EQ(gradients[1].type(), channels);
  EXPECT_EQ(gradients[2].type(), channels);
  EXPECT_FALSE(gradients[3]);
  EXPECT_FALSE(gradients[4]);
  EXPECT_EQ(gradients[5].type(), x);
}

}  // namespace
}  // namespace lockstep::testing
