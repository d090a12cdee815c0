// Layers: each makes its parameters under a scope and the nodes that use them.
#include "graph/nn.hpp"

#include "base/random.hpp"
#include "ops/attributes.hpp"

namespace lockstep {
namespace {

void check_image(const Scope& s, std::string_view layer, Value x) {
  if (x.shape().rank() == 4) return;
  fail(Failure::usage, s.path(), ": ", layer, ": x is ", x.type(),
       "; expected (N, C, H, W); flattened values go into linear layers");
}

Attributes pool_attributes(const nn::Pool2d& o) {
  return Attributes::of(PoolAttributes{.kernel = {o.kernel, o.kernel},
                                       .stride = {o.stride, o.stride},
                                       .padding = {o.padding, o.padding},
                                       .ceil_mode = o.ceil_mode,
                                       .count_include_pad = o.count_include_pad});
}

Init uniform(int64_t fan_in) { return {Init::uniform_fan_in, static_cast<double>(fan_in)}; }

}  // namespace

Scope Scope::operator/(std::string_view name) const {
  return {*graph_, path_.empty() ? std::string(name) : concat(path_, '.', name)};
}

Value Scope::parameter(std::string_view name, Shape shape, Init init, ParameterKind kind) const {
  return graph_->parameter((*this / name).path(), shape, {init, kind});
}

Value Scope::buffer(std::string_view name, Shape shape, BufferAttributes attributes) const {
  return graph_->buffer((*this / name).path(), shape, attributes);
}

namespace nn {

Value conv2d(const Scope& s, Value x, const Conv2d& o) {
  check_image(s, "conv2d", x);
  if (o.groups < 1)
    fail(Failure::usage, s.path(), ": conv2d: groups is ", o.groups, "; expected at least 1");
  const std::array<int, 2> kernel = o.kernel_hw.value_or(std::array{o.kernel, o.kernel});
  const std::array<int, 2> padding = o.padding_hw.value_or(std::array{o.padding, o.padding});
  const int64_t group_channels = x.shape()[1] / o.groups;
  std::vector<Value> inputs{
      x, s.parameter("weight", {o.out, group_channels, kernel[0], kernel[1]}, o.init)};
  if (o.bias) {
    const Init init = o.bias_init.value_or(uniform(group_channels * kernel[0] * kernel[1]));
    inputs.push_back(s.parameter("bias", {o.out}, init, ParameterKind::bias));
  }
  const Conv2dAttributes attributes{.stride = {o.stride, o.stride},
                                    .padding = padding,
                                    .dilation = {o.dilation, o.dilation},
                                    .groups = o.groups,
                                    .bias = o.bias};
  return s.graph().apply("conv2d", std::move(inputs), Attributes::of(attributes), s.path());
}

Value batch_norm(const Scope& s, Value x, const BatchNorm& o) {
  check_image(s, "batch_norm", x);
  Graph& graph = s.graph();
  const int64_t channels = x.shape()[1];
  const Init weight_init = o.zero_init ? Init::zeros() : Init::ones();
  const Value w = s.parameter("weight", {channels}, weight_init, ParameterKind::norm);
  const Value b = s.parameter("bias", {channels}, Init::zeros(), ParameterKind::norm);
  const Value running_mean =
      s.buffer("running_mean", {channels}, {.initial = 0, .momentum = o.momentum});
  const Value running_var =
      s.buffer("running_var", {channels}, {.initial = 1, .momentum = o.momentum});
  const Attributes attributes =
      Attributes::of(BatchNormAttributes{.epsilon = o.epsilon, .relu = false, .residual = false});
  if (s.mode() == Mode::evaluation) {
    return graph.apply("batch_norm_inference", {x, w, b, running_mean, running_var}, attributes,
                       s.path());
  }
  const Value y = graph.apply("batch_norm", {x, w, b}, attributes, s.path());
  const Value mean{&graph, {y.id().node, 1}};
  const Value variance{&graph, {y.id().node, 2}};
  const int64_t count = x.shape().numel() / channels;
  const Value statistics = graph.apply(
      "batch_statistics", {mean, variance, graph.input("shard_fraction", {DType::f32, {}})},
      Attributes::of(BatchStatisticsAttributes{count}), s.path() + "/statistics");
  graph.output(Role::statistic, (s / "running_mean").path(), statistics);
  graph.output(Role::statistic, (s / "running_var").path(), ValueId{statistics.id().node, 1});
  return y;
}

Value linear(const Scope& s, Value x, const Linear& o) {
  if (x.shape().rank() != 2) {
    fail(Failure::usage, s.path(), ": linear: x is ", x.type(),
         "; expected (N, K); nn::flatten or nn::global_avg_pool makes that of an image");
  }
  const int64_t fan_in = x.shape()[1];
  std::vector<Value> inputs{
      x, s.parameter("weight", {o.out, fan_in}, o.init.value_or(uniform(fan_in)))};
  if (o.bias) {
    const Init init = o.bias_init.value_or(uniform(fan_in));
    inputs.push_back(s.parameter("bias", {o.out}, init, ParameterKind::bias));
  }
  return s.graph().apply("linear", std::move(inputs), Attributes::of(LinearAttributes{o.bias}),
                         s.path());
}

Value relu(Value x) { return pointwise("relu", x); }
Value sigmoid(Value x) { return pointwise("sigmoid", x); }
Value tanh(Value x) { return pointwise("tanh", x); }
Value pointwise(std::string_view op, Value x) { return x.graph().apply(op, {x}); }
Value add(Value a, Value b) { return a.graph().apply("add", {a, b}); }

Value concat(std::vector<Value> xs) {
  if (xs.empty()) fail(Failure::usage, "concat: no values; expected at least one");
  Graph& graph = xs[0].graph();
  return graph.apply("concat", std::move(xs));
}

Value max_pool2d(Value x, const Pool2d& o) {
  return x.graph().apply("max_pool2d", {x}, pool_attributes(o));
}

Value avg_pool2d(Value x, const Pool2d& o) {
  return x.graph().apply("avg_pool2d", {x}, pool_attributes(o));
}

Value adaptive_avg_pool2d(Value x, int64_t height, int64_t width) {
  if (x.shape().rank() == 4 && x.shape()[2] == height && x.shape()[3] == width) return x;
  const AdaptivePoolAttributes attributes{
      .out = {static_cast<int>(height), static_cast<int>(width)}};
  return x.graph().apply("adaptive_avg_pool2d", {x}, Attributes::of(attributes));
}

Value global_avg_pool(Value x) { return flatten(adaptive_avg_pool2d(x, 1, 1)); }

Value flatten(Value x) {
  const Shape& shape = x.shape();
  if (shape.rank() < 1) fail(Failure::usage, "flatten: x is a scalar; expected (N, …)");
  int64_t features = 1;
  for (int axis = 1; axis < shape.rank(); ++axis) features *= shape[axis];
  return x.graph().apply("reshape", {x}, Attributes::of(ReshapeAttributes{{shape[0], features}}));
}

Value dropout(const Scope& s, Value x, double probability) {
  if (s.mode() == Mode::evaluation || probability == 0) return x;
  Graph& graph = s.graph();
  const Value key = graph.input("random_key", {DType::i64, {2}});
  const Value indices = graph.input("indices", {DType::i64, {x.shape()[0]}});
  const DropoutAttributes attributes{probability, hash_name(s.path())};
  return graph.apply("dropout", {x, key, indices}, Attributes::of(attributes), s.path());
}

Value subsample(Value x, int stride) {
  return x.graph().apply("subsample", {x}, Attributes::of(SubsampleAttributes{stride}));
}

Value pad_channels(Value x, int64_t before, int64_t after) {
  return x.graph().apply("pad_channels", {x}, Attributes::of(ChannelsAttributes{before, after}));
}

}  // namespace nn
}  // namespace lockstep
