// Types with mixed precision: which inputs and results of an op are half, and which stay f32.
#include <gtest/gtest.h>

#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "support/expect_error.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

using Types = std::vector<TensorType>;

struct OpTypes {
  std::string op;
  Attributes attributes;
  Types inputs, outputs;
};

class HalfTypesTest : public ::testing::TestWithParam<DType> {
 protected:
  TensorType half(Shape shape) const { return {GetParam(), shape}; }
  static TensorType f32(Shape shape) { return {DType::f32, shape}; }
  static Types infer(const OpTypes& c) {
    return framework_ops().at(c.op).infer(c.inputs, c.attributes);
  }
};

TEST_P(HalfTypesTest, FollowTheInputsOfConvolutionsAndLinearLayers) {
  const TensorType x = half({2, 4, 6, 6}), w = half({8, 4, 3, 3}), y = half({2, 8, 4, 4});
  const TensorType b = f32({8}), rows = half({2, 4}), matrix = half({8, 4}), z = half({2, 8});
  const auto conv = [](Conv2dAttributes a) { return Attributes::of(a); };
  const auto linear = [](bool bias) { return Attributes::of(LinearAttributes{bias}); };
  const std::vector<OpTypes> cases = {
      {"conv2d", conv({.bias = true}), {x, w, b}, {y}},
      {"conv2d_grad_input", conv({.input_shape = {2, 4, 6, 6}}), {y, w}, {x}},
      {"conv2d_grad_weight", conv({.bias = true, .weight_shape = {8, 4, 3, 3}}), {x, y}, {w, b}},
      {"conv2d_inference",
       conv({.bias = true, .residual = true}),
       {x, f32({8, 4, 3, 3}), y, b},
       {y}},
      {"linear", linear(true), {rows, matrix, b}, {z}},
      {"linear_inference", linear(true), {rows, f32({8, 4}), b}, {z}},
      {"linear_grad_input", linear(false), {z, matrix}, {rows}},
      {"linear_grad_weight", linear(true), {rows, z}, {matrix, b}},
  };
  for (const OpTypes& c : cases) EXPECT_EQ(infer(c), c.outputs) << c.op;
}

TEST_P(HalfTypesTest, FollowTheActivationOfEveryOtherOp) {
  const TensorType x = half({2, 4, 6, 6}), small = half({2, 4, 3, 3}), c = f32({4});
  const TensorType index{DType::u8, {2, 4, 3, 3}}, sums{DType::f64, {8}}, all{DType::f64, {9}};
  const PoolAttributes pool{.kernel = {2, 2}, .stride = {2, 2}, .input_shape = {2, 4, 6, 6}};
  const AdaptivePoolAttributes bins{{3, 3}, {2, 4, 6, 6}};
  const SubsampleAttributes second{2, {2, 4, 6, 6}};
  const auto bn = Attributes::of(BatchNormAttributes{.relu = true, .residual = true});
  const auto plain = Attributes::of(BatchNormAttributes{});
  const std::vector<OpTypes> cases = {
      {"batch_norm", bn, {x, c, c, x}, {x, c, c}},
      {"batch_norm_grad", bn, {x, x, c, c, c, x}, {x, c, c, x}},
      {"batch_norm_inference", bn, {x, c, c, c, c, x}, {x}},
      {"batch_moments", {}, {x}, {all}},
      {"batch_norm_apply", plain, {x, all, c, c}, {x, c, c}},
      {"batch_norm_grad_sums", plain, {x, x, c, c}, {sums, c, c}},
      {"batch_norm_grad_apply", plain, {x, x, c, c, c, sums, all}, {x}},
      {"relu", {}, {x}, {x}},
      {"tanh_grad", {}, {x, x}, {x}},
      {"add", {}, {x, x}, {x}},
      {"scale", Attributes::of(ScaleAttributes{2}), {x}, {x}},
      {"concat", {}, {x, x}, {half({2, 8, 6, 6})}},
      {"slice_channels", Attributes::of(ChannelsAttributes{1, 2}), {x}, {half({2, 2, 6, 6})}},
      {"pad_channels", Attributes::of(ChannelsAttributes{1, 2}), {x}, {half({2, 7, 6, 6})}},
      {"subsample", Attributes::of(second), {x}, {small}},
      {"subsample_grad", Attributes::of(second), {small}, {x}},
      {"max_pool2d", Attributes::of(pool), {x}, {small, index}},
      {"max_pool2d_grad", Attributes::of(pool), {small, index}, {x}},
      {"avg_pool2d", Attributes::of(pool), {x}, {small}},
      {"avg_pool2d_grad", Attributes::of(pool), {small}, {x}},
      {"adaptive_avg_pool2d", Attributes::of(bins), {x}, {small}},
      {"adaptive_avg_pool2d_grad", Attributes::of(bins), {small}, {x}},
      {"reshape", Attributes::of(ReshapeAttributes{{2, 144}}), {x}, {half({2, 144})}},
      {"dropout",
       Attributes::of(DropoutAttributes{}),
       {x, {DType::i64, {2}}, {DType::i64, {2}}},
       {x}},
      {"normalize",
       Attributes::of(NormalizeAttributes{{0}, {1}, GetParam()}),
       {{DType::u8, {2, 1, 6, 6}}},
       {half({2, 1, 6, 6})}},
  };
  for (const OpTypes& c : cases) EXPECT_EQ(infer(c), c.outputs) << c.op;
}

TEST_P(HalfTypesTest, AreRefusedWhereValuesStayFloat) {
  const TensorType x = half({2, 4, 6, 6}), w = half({8, 4, 3, 3}), logits = half({2, 10});
  const TensorType c = half({4}), s = f32({}), labels{DType::i32, {2}}, weights = f32({2});
  const auto expect_refused = [&](const std::string& op, const Types& inputs,
                                  const Attributes& attributes, const std::string& text) {
    SCOPED_TRACE(op);
    expect_error([&] { framework_ops().at(op).infer(inputs, attributes); }, Failure::usage, text);
  };
  expect_refused("conv2d", {x, f32({8, 4, 3, 3})}, Attributes::of(Conv2dAttributes{}),
                 concat("w is f32(8, 4, 3, 3); expected ", name(GetParam())));
  expect_refused("conv2d_inference", {x, w}, Attributes::of(Conv2dAttributes{}), "expected f32");
  expect_refused("batch_norm", {x, c, c}, Attributes::of(BatchNormAttributes{}), "expected f32(4)");
  expect_refused("batch_statistics", {c, c, s}, Attributes::of(BatchStatisticsAttributes{9}),
                 "expected f32");
  expect_refused("softmax_cross_entropy", {logits, labels, weights},
                 Attributes::of(SoftmaxCrossEntropyAttributes{}), "expected f32");
  expect_refused("classification_metrics", {logits, labels, weights, weights}, {}, "expected f32");
  expect_refused("all_reduce", {x}, {}, "expected f32");
  expect_refused("add", {x, f32({2, 4, 6, 6})}, {}, "expected equal types");
  expect_refused("concat", {x, f32({2, 4, 6, 6})}, {}, "differ in their channels alone");
}

TEST_P(HalfTypesTest, ACastGoesThereAndItsGradientComesBack) {
  Graph graph(Mode::training, framework_ops());
  const Value x = graph.input("x", f32({3}));
  const Value y = graph.apply("cast", {x}, Attributes::of(CastAttributes{GetParam()}), "y");
  EXPECT_EQ(y.type(), half({3}));
  const Value dy = graph.input("dy", half({3}));
  const std::vector<Value> inputs{x}, outputs{y}, d_outputs{dy};
  const std::vector<bool> needed{true};
  const auto gradients = framework_ops().at("cast").gradient(
      {graph.node(y.id()), graph, inputs, outputs, d_outputs, needed});
  EXPECT_EQ(gradients[0].type(), x.type());
  EXPECT_EQ(graph.node(gradients[0].id()).op, "cast");
  expect_error(
      [&] {
        graph.apply("cast", {graph.input("l", {DType::i32, {3}})}, {}, "z");
      },
      Failure::usage, "x is i32(3); expected f32, bf16 or f16");
}

INSTANTIATE_TEST_SUITE_P(Types, HalfTypesTest, ::testing::Values(DType::bf16, DType::f16),
                         [](const auto& info) { return std::string(name(info.param)); });

}  // namespace
}  // namespace lockstep::testing
