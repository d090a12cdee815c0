// Two-dimensional cross-correlation with zero padding, as torch.nn.Conv2d.
#include "ops/conv2d.hpp"
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"
#include "ops/window.hpp"

namespace lockstep {

TensorType conv2d_output_type(const TensorType& x, const TensorType& w, const Conv2dAttributes& a) {
  check_rank(x, "x", 4);
  check_real(w, "w");
  if (w.shape.rank() != 4) {
    fail(Failure::usage, "w is ", w, "; expected (O, C / groups, kh, kw)");
  }
  const int64_t channels = x.shape[1];
  const int64_t out = w.shape[0];
  if (a.groups < 1) fail(Failure::usage, "groups is ", a.groups, "; expected at least 1");
  if (channels % a.groups != 0 || out < 1 || out % a.groups != 0) {
    fail(Failure::usage, channels, " input and ", out, " output channels in ", a.groups,
         " groups; expected numbers of channels divisible by groups");
  }
  if (w.shape[1] != channels / a.groups) {
    fail(Failure::usage, "x is ", x, " and w ", w, "; expected ", channels / a.groups,
         " channels in w, those of x over groups");
  }
  const Window window{.kernel = {static_cast<int>(w.shape[2]), static_cast<int>(w.shape[3])},
                      .stride = a.stride,
                      .padding = a.padding,
                      .dilation = a.dilation,
                      .ceil_mode = false};
  return {x.dtype, windowed_shape(x.shape, out, window)};
}

int64_t conv2d_multiply_adds(const Shape& y, const Shape& w) {
  return y.numel() * (w.numel() / w[0]);
}

namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  const auto& a = attributes.as<Conv2dAttributes>();
  check_inputs(inputs, a.bias ? 3 : 2);
  const TensorType y = conv2d_output_type(inputs[0], inputs[1], a);
  check_dtype(inputs[1], "w", y.dtype);
  if (a.bias) check_type(inputs[2], "b", f32({y.shape[1]}));
  return {y};
}

std::vector<TensorType> infer_grad_input(std::span<const TensorType> inputs,
                                         const Attributes& attributes) {
  const auto& a = attributes.as<Conv2dAttributes>();
  check_inputs(inputs, 2);
  const TensorType x{inputs[0].dtype, check_stored_shape(a.input_shape, "input_shape")};
  check_type(inputs[0], "dy", conv2d_output_type(x, inputs[1], a));
  check_dtype(inputs[1], "w", x.dtype);
  return {x};
}

std::vector<TensorType> infer_grad_weight(std::span<const TensorType> inputs,
                                          const Attributes& attributes) {
  const auto& a = attributes.as<Conv2dAttributes>();
  check_inputs(inputs, 2);
  const TensorType w{inputs[0].dtype, check_stored_shape(a.weight_shape, "weight_shape")};
  check_type(inputs[1], "dy", conv2d_output_type(inputs[0], w, a));
  std::vector<TensorType> outputs{w};
  if (a.bias) outputs.push_back(f32({w.shape[0]}));
  return outputs;
}

std::vector<Value> gradient(const GradientContext& c) {
  const auto& a = c.attributes<Conv2dAttributes>();
  const Value x = c.inputs[0], w = c.inputs[1], dy = c.d_outputs[0];
  std::vector<Value> gradients(c.inputs.size());
  if (c.needed[0]) {
    Conv2dAttributes grad = a;
    grad.bias = false;
    grad.input_shape = extents_of(x.shape());
    gradients[0] = c.apply("conv2d_grad_input", {dy, w}, Attributes::of(grad), "grad_input");
  }
  const bool bias_needed = a.bias && c.needed[2];
  if (c.needed[1] || bias_needed) {
    Conv2dAttributes grad = a;
    grad.bias = bias_needed;
    grad.weight_shape = extents_of(w.shape());
    const Value dw = c.apply("conv2d_grad_weight", {x, dy}, Attributes::of(grad), "grad_weight");
    if (c.needed[1]) gradients[1] = dw;
    if (bias_needed) gradients[2] = {&c.graph, {dw.id().node, 1}};
  }
  return gradients;
}

}  // namespace

void describe(Options<Conv2dAttributes>& o) {
  o("stride", &Conv2dAttributes::stride, "height and width", at_least(1));
  o("padding", &Conv2dAttributes::padding, "zeros on each side, height and width", at_least(0));
  o("dilation", &Conv2dAttributes::dilation, "distance of kernel elements", at_least(1));
  o("groups", &Conv2dAttributes::groups, "independent groups of channels", at_least(1));
  o("bias", &Conv2dAttributes::bias, "adds a value per output channel");
  o("batch_norm", &Conv2dAttributes::batch_norm, "followed by batch_norm_inference");
  o("epsilon", &Conv2dAttributes::epsilon, "of the batch norm, added to the variance", positive());
  o("residual", &Conv2dAttributes::residual, "adds another value after the batch norm");
  o("relu", &Conv2dAttributes::relu, "ends with a ReLU");
  o("input_shape", &Conv2dAttributes::input_shape, "of x, for conv2d_grad_input");
  o("weight_shape", &Conv2dAttributes::weight_shape, "of w, for conv2d_grad_weight");
}

void add_conv2d(OpRegistry& ops) {
  using Types = std::span<const TensorType>;
  ops.add({.name = "conv2d",
           .help = "two-dimensional convolution",
           .infer = infer,
           .gradient = gradient,
           .multiply_adds = [](Types in, const TensorType& y, const Attributes&) {
             return conv2d_multiply_adds(y.shape, in[1].shape);
           }});
  ops.add({.name = "conv2d_grad_input",
           .help = "gradient of conv2d by its input",
           .infer = infer_grad_input,
           .multiply_adds = [](Types in, const TensorType&, const Attributes&) {
             return conv2d_multiply_adds(in[0].shape, in[1].shape);
           }});
  ops.add({.name = "conv2d_grad_weight",
           .help = "gradients of conv2d by its weight and bias",
           .infer = infer_grad_weight,
           .multiply_adds = [](Types in, const TensorType& dw, const Attributes&) {
             return conv2d_multiply_adds(in[1].shape, dw.shape);
           }});
}

}  // namespace lockstep
