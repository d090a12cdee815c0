// The types every op gives, and the inputs it refuses: a table for each.
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "support/expect_error.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

using Types = std::vector<TensorType>;

TensorType f32(Shape shape) { return {DType::f32, shape}; }
TensorType f64(Shape shape) { return {DType::f64, shape}; }
TensorType i64(Shape shape) { return {DType::i64, shape}; }
TensorType i32(Shape shape) { return {DType::i32, shape}; }
TensorType u8(Shape shape) { return {DType::u8, shape}; }
TensorType blocked(Shape shape) { return {DType::f32, shape, Layout::nchw8c}; }

// The attributes of an op.
template <class T>
Attributes with(T value) {
  return Attributes::of(std::move(value));
}

// Node of the op over inputs of these types.
Types infer(std::string_view op, const Types& inputs, const Attributes& attributes) {
  Graph graph(Mode::training, framework_ops());
  std::vector<Value> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    values.push_back(graph.input(lockstep::concat('x', i), inputs[i]));
  }
  return graph.node(graph.apply(op, values, attributes, "here").id()).outputs;
}

struct Accepted {
  std::string op;
  Attributes attributes;
  Types inputs;
  Types outputs;
};

std::vector<Accepted> accepted() {
  const TensorType x = f32({2, 6, 9, 8}), c = f32({6}), s = f32({});
  const std::vector<int64_t> image{2, 6, 9, 8};
  const PoolAttributes pool{
      .kernel = {3, 2}, .stride = {2, 2}, .padding = {1, 0}, .input_shape = image};
  PoolAttributes ceil = pool;
  ceil.ceil_mode = true;
  const BatchNormAttributes fused{.relu = true, .residual = true};
  const Conv2dAttributes conv{.stride = {2, 1},
                              .padding = {1, 2},
                              .dilation = {1, 2},
                              .groups = 3,
                              .bias = true,
                              .input_shape = image,
                              .weight_shape = {9, 2, 3, 3}};
  const TensorType w = f32({9, 2, 3, 3}), conv_y = f32({2, 9, 5, 8});
  const TensorType folded_y = f32({2, 4, 9, 8}), four = f32({4});
  return {
      {"normalize",
       with(NormalizeAttributes{{0.5}, {0.25}}),
       {u8({2, 1, 4, 4})},
       {f32({2, 1, 4, 4})}},
      {"conv2d", with(conv), {x, w, f32({9})}, {conv_y}},
      {"conv2d",
       with(Conv2dAttributes{}),
       {blocked({2, 6, 9, 8}), f32({4, 6, 1, 1})},
       {f32({2, 4, 9, 8})}},
      {"conv2d_grad_input", with(conv), {conv_y, w}, {x}},
      {"conv2d_grad_weight", with(conv), {x, conv_y}, {w, f32({9})}},
      {"conv2d_inference",
       with(Conv2dAttributes{.bias = true, .batch_norm = true, .residual = true, .relu = true}),
       {x, f32({4, 6, 1, 1}), folded_y, four, four, four, four, four},
       {folded_y}},
      {"linear", with(LinearAttributes{true}), {f32({2, 6}), f32({5, 6}), f32({5})}, {f32({2, 5})}},
      {"linear_inference",
       with(LinearAttributes{.relu = true}),
       {f32({2, 6}), f32({5, 6})},
       {f32({2, 5})}},
      {"linear_grad_input", with(LinearAttributes{}), {f32({2, 5}), f32({5, 6})}, {f32({2, 6})}},
      {"linear_grad_weight",
       with(LinearAttributes{true}),
       {f32({2, 6}), f32({2, 5})},
       {f32({5, 6}), f32({5})}},
      {"batch_norm", with(BatchNormAttributes{}), {x, c, c}, {x, c, c}},
      {"batch_norm", with(fused), {x, c, c, x}, {x, c, c}},
      {"batch_norm_grad", with(BatchNormAttributes{}), {x, x, c, c, c}, {x, c, c}},
      {"batch_norm_grad", with(fused), {x, x, c, c, c, x}, {x, c, c, x}},
      {"batch_norm_inference", with(fused), {x, c, c, c, c, x}, {x}},
      {"batch_statistics", with(BatchStatisticsAttributes{144}), {c, c, s}, {c, c}},
      {"batch_statistics", with(BatchStatisticsAttributes{}), {c, c, s, f64({13})}, {c, c}},
      {"batch_moments", {}, {x}, {f64({13})}},
      {"batch_norm_apply", with(BatchNormAttributes{}), {x, f64({13}), c, c}, {x, c, c}},
      {"batch_norm_grad_sums", with(BatchNormAttributes{}), {x, x, c, c}, {f64({12}), c, c}},
      {"batch_norm_grad_apply",
       with(BatchNormAttributes{}),
       {x, x, c, c, c, f64({12}), f64({13})},
       {x}},
      {"all_reduce", {}, {f64({12})}, {f64({12})}},
      {"relu", {}, {f32({3})}, {f32({3})}},
      {"tanh_grad", {}, {x, x}, {x}},
      {"add", {}, {x, x}, {x}},
      {"scale", with(ScaleAttributes{2}), {s}, {s}},
      {"concat", {}, {x, f32({2, 1, 9, 8}), x}, {f32({2, 13, 9, 8})}},
      {"slice_channels", with(ChannelsAttributes{2, 4}), {x}, {f32({2, 4, 9, 8})}},
      {"pad_channels", with(ChannelsAttributes{1, 2}), {x}, {f32({2, 9, 9, 8})}},
      {"subsample", with(SubsampleAttributes{2}), {x}, {f32({2, 6, 5, 4})}},
      {"subsample_grad", with(SubsampleAttributes{2, image}), {f32({2, 6, 5, 4})}, {x}},
      {"max_pool2d", with(pool), {x}, {f32({2, 6, 5, 4}), u8({2, 6, 5, 4})}},
      {"max_pool2d_grad", with(pool), {f32({2, 6, 5, 4}), u8({2, 6, 5, 4})}, {x}},
      {"avg_pool2d", with(pool), {f32({2, 6, 8, 8})}, {f32({2, 6, 4, 4})}},
      {"avg_pool2d", with(ceil), {f32({2, 6, 8, 9})}, {f32({2, 6, 5, 5})}},
      // The fifth window would start in the right padding.
      {"max_pool2d",
       with(PoolAttributes{
           .kernel = {2, 2}, .stride = {2, 2}, .padding = {1, 1}, .ceil_mode = true}),
       {f32({1, 1, 7, 6})},
       {f32({1, 1, 4, 4}), u8({1, 1, 4, 4})}},
      {"avg_pool2d_grad", with(pool), {f32({2, 6, 5, 4})}, {x}},
      {"adaptive_avg_pool2d", with(AdaptivePoolAttributes{{7, 10}}), {x}, {f32({2, 6, 7, 10})}},
      {"adaptive_avg_pool2d_grad",
       with(AdaptivePoolAttributes{{1, 1}, image}),
       {f32({2, 6, 1, 1})},
       {x}},
      {"reshape", with(ReshapeAttributes{{2, 432}}), {x}, {f32({2, 432})}},
      {"dropout", with(DropoutAttributes{}), {x, i64({2}), i64({2})}, {x}},
      {"softmax_cross_entropy",
       with(SoftmaxCrossEntropyAttributes{}),
       {f32({2, 5}), i32({2}), f32({2})},
       {s, f32({2}), f32({2, 5})}},
      {"softmax_cross_entropy_grad",
       with(SoftmaxCrossEntropyAttributes{}),
       {f32({2, 5}), i32({2}), f32({2}), s},
       {f32({2, 5})}},
      {"classification_metrics", {}, {f32({2, 5}), i32({2}), f32({2}), f32({2})}, {f64({5})}},
      {"reorder", with(ReorderAttributes{2}), {x}, {blocked({2, 6, 9, 8})}},
      {"cast", with(CastAttributes{DType::bf16}), {x}, {{DType::bf16, {2, 6, 9, 8}}}},
  };
}

struct Refused {
  std::string op;
  Attributes attributes;
  Types inputs;
  std::string text;
};

std::vector<Refused> refused() {
  const TensorType x = f32({2, 6, 9, 8}), c = f32({6}), s = f32({});
  const PoolAttributes pool{.kernel = {3, 3}, .stride = {2, 2}};
  return {
      {"normalize",
       with(NormalizeAttributes{{0.5}, {0.25}}),
       {f32({2, 1, 4, 4})},
       "expected u8(N, C, H, W)"},
      {"normalize",
       with(NormalizeAttributes{{0.5}, {0.25}}),
       {u8({2, 3, 4, 4})},
       "one of each per channel"},
      {"normalize", with(NormalizeAttributes{{0.5}, {0.0}}), {u8({2, 1, 4, 4})}, "above 0"},
      {"conv2d", with(Conv2dAttributes{}), {x}, "has 1 inputs; expected 2"},
      {"conv2d",
       with(Conv2dAttributes{}),
       {f32({2, 6}), f32({4, 6, 1, 1})},
       "expected (N, C, H, W)"},
      {"conv2d", with(Conv2dAttributes{}), {x, f32({4, 6})}, "expected (O, C / groups, kh, kw)"},
      {"conv2d", with(Conv2dAttributes{}), {x, f32({4, 5, 1, 1})}, "expected 6 channels in w"},
      {"conv2d",
       with(Conv2dAttributes{.groups = 4}),
       {x, f32({4, 1, 1, 1})},
       "divisible by groups"},
      {"conv2d", with(Conv2dAttributes{.groups = 0}), {x, f32({4, 6, 1, 1})}, "groups is 0"},
      {"conv2d",
       with(Conv2dAttributes{.stride = {0, 1}}),
       {x, f32({4, 6, 1, 1})},
       "stride is 0 x 1"},
      {"conv2d",
       with(Conv2dAttributes{.padding = {-1, 0}}),
       {x, f32({4, 6, 1, 1})},
       "padding is -1 x 0"},
      {"conv2d", with(Conv2dAttributes{}), {x, f32({4, 6, 1, 9})}, "images are too small"},
      {"conv2d",
       with(Conv2dAttributes{.dilation = {5, 5}}),
       {x, f32({4, 6, 3, 3})},
       "images are too small"},
      {"conv2d",
       with(Conv2dAttributes{}),
       {f32({2, 6, 0, 0}), f32({4, 6, 1, 1})},
       "images are too small"},
      {"conv2d",
       with(Conv2dAttributes{.bias = true}),
       {x, f32({4, 6, 1, 1}), c},
       "b is f32(6); expected f32(4)"},
      {"conv2d_grad_input",
       with(Conv2dAttributes{}),
       {x, f32({6, 4, 1, 1})},
       "input_shape has 0 extents"},
      {"conv2d_grad_weight", with(Conv2dAttributes{.weight_shape = {6, 6, 3, 3}}), {x, x}, "dy is"},
      {"conv2d_inference",
       with(Conv2dAttributes{.residual = true}),
       {x, f32({4, 6, 1, 1}), x},
       "residual is"},
      {"conv2d_inference",
       with(Conv2dAttributes{.batch_norm = true}),
       {x, f32({6, 6, 1, 1}), c, c, c, f32({5})},
       "bn_var is f32(5); expected f32(6)"},
      {"linear", with(LinearAttributes{}), {x, f32({5, 6})}, "expected (N, K)"},
      {"linear",
       with(LinearAttributes{}),
       {f32({2, 7}), f32({5, 6})},
       "expected (N, K) and (O, K)"},
      {"linear", with(LinearAttributes{true}), {f32({2, 6}), f32({5, 6}), c}, "b is"},
      {"linear_grad_input", with(LinearAttributes{}), {f32({2, 4}), f32({5, 6})}, "dy is"},
      {"linear_grad_weight", with(LinearAttributes{}), {f32({2, 4}), f32({3, 6})}, "dy is"},
      {"batch_norm", with(BatchNormAttributes{}), {x, f32({5}), c}, "w is f32(5); expected f32(6)"},
      {"batch_norm",
       with(BatchNormAttributes{.residual = true}),
       {x, c, c, f32({2, 6, 9, 9})},
       "residual is"},
      {"batch_norm_grad", with(BatchNormAttributes{.relu = true}), {x, x, c, c, c}, "expected 6"},
      {"batch_norm_inference",
       with(BatchNormAttributes{}),
       {x, c, c, c, f32({5})},
       "running_var is"},
      {"batch_statistics", with(BatchStatisticsAttributes{4}), {c, c, c}, "fraction is"},
      {"batch_statistics", with(BatchStatisticsAttributes{}), {c, c, s}, "expected 4"},
      {"batch_norm_apply",
       with(BatchNormAttributes{.relu = true}),
       {x, f64({13}), c, c},
       "expected neither"},
      {"batch_norm_apply", with(BatchNormAttributes{}), {x, f64({12}), c, c}, "moments is"},
      {"all_reduce", {}, {i32({2})}, "expected f32"},
      {"sigmoid", {}, {u8({3})}, "x is u8(3); expected f32"},
      {"sigmoid_grad", {}, {x, c}, "dy is"},
      {"add", {}, {x, f32({2, 6, 9, 9})}, "expected equal types"},
      {"scale", with(ScaleAttributes{2}), {f64({})}, "expected f32"},
      {"concat", {}, {}, "expected at least one"},
      {"concat", {}, {x, f32({2, 6, 9, 9})}, "differ in their channels alone"},
      {"slice_channels", with(ChannelsAttributes{3, 4}), {x}, "channels 3 to 7"},
      {"slice_channels", with(ChannelsAttributes{3, 0}), {x}, "at least one channel"},
      {"pad_channels", with(ChannelsAttributes{-1, 0}), {x}, "expected at least 0"},
      {"subsample", with(SubsampleAttributes{0}), {x}, "stride is 0"},
      {"subsample_grad", with(SubsampleAttributes{2, {2, 6, 9, 8}}), {x}, "dy is"},
      {"max_pool2d", with(pool), {f32({2, 6, 2, 9})}, "images are too small"},
      {"max_pool2d",
       with(PoolAttributes{.kernel = {3, 3}, .padding = {2, 1}}),
       {x},
       "half the kernel"},
      {"max_pool2d",
       with(PoolAttributes{.kernel = {17, 16}}),
       {f32({1, 1, 20, 20})},
       "at most 256 elements"},
      {"avg_pool2d", with(PoolAttributes{.kernel = {0, 1}}), {x}, "kernel is 0 x 1"},
      {"adaptive_avg_pool2d", with(AdaptivePoolAttributes{{0, 1}}), {x}, "out is 0 x 1"},
      {"reshape", with(ReshapeAttributes{{2, 433}}), {x}, "as many elements"},
      {"reshape", with(ReshapeAttributes{{-2, -432}}), {x}, "as many elements"},
      {"reshape", with(ReshapeAttributes{{1, 1, 1, 1, 1, 2, 432}}), {x}, "at most 6"},
      {"dropout", with(DropoutAttributes{.probability = 1}), {x, i64({2}), i64({2})}, "below 1"},
      {"dropout", with(DropoutAttributes{}), {x, i64({2}), i64({3})}, "indices is"},
      {"softmax_cross_entropy",
       with(SoftmaxCrossEntropyAttributes{}),
       {f32({2, 5}), i64({2}), f32({2})},
       "labels is"},
      {"softmax_cross_entropy",
       with(SoftmaxCrossEntropyAttributes{}),
       {x, i32({2}), f32({2})},
       "expected (N, K)"},
      {"softmax_cross_entropy",
       with(SoftmaxCrossEntropyAttributes{}),
       {f32({2, 0}), i32({2}), f32({2})},
       "one class"},
      {"classification_metrics", {}, {f32({2, 5}), i32({2}), f32({2}), f32({3})}, "losses is"},
      {"reorder", with(ReorderAttributes{2}), {f32({2, 5})}, "choice of layouts"},
  };
}

TEST(InferenceTest, GivesTheTypesOfEveryOp) {
  for (const Accepted& c : accepted()) {
    SCOPED_TRACE(c.op + " " + c.attributes.text());
    try {
      EXPECT_EQ(infer(c.op, c.inputs, c.attributes), c.outputs);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

TEST(InferenceTest, RefusesInputsThatDoNotFit) {
  for (const Refused& c : refused()) {
    SCOPED_TRACE(c.op + " " + c.attributes.text());
    expect_error([&] { infer(c.op, c.inputs, c.attributes); }, Failure::usage, c.text);
    expect_error([&] { infer(c.op, c.inputs, c.attributes); }, Failure::usage,
                 "here: " + c.op + ": ");
  }
}

TEST(InferenceTest, HasACaseForEveryOp) {
  std::vector<Accepted> cases = accepted();
  for (const auto& [name, op] : framework_ops().all()) {
    if (!op.pointwise.forward) {
      EXPECT_TRUE(std::any_of(cases.begin(), cases.end(), [&](const Accepted& c) {
        return c.op == name;
      })) << name;
    }
  }
}

TEST(InferenceTest, CountsMultiplyAdds) {
  const Types conv{f32({2, 4, 8, 8}), f32({6, 2, 3, 3})};
  const Attributes grouped = with(Conv2dAttributes{.padding = {1, 1}, .groups = 2});
  EXPECT_EQ(framework_ops().at("conv2d").multiply_adds(conv, f32({2, 6, 8, 8}), grouped),
            2 * 6 * 8 * 8 * 2 * 3 * 3);
  const Types linear{f32({2, 12}), f32({5, 12})};
  EXPECT_EQ(
      framework_ops().at("linear").multiply_adds(linear, f32({2, 5}), with(LinearAttributes{})),
      2 * 5 * 12);
}

}  // namespace
}  // namespace lockstep::testing
