// Batch normalisation by the batch's own moments. Ioffe and Szegedy, arXiv:1502.03167, algorithm 1;
// gradients as in its section 3. ReLU and an added residual may be fused in; the output then says
// where the ReLU let the gradient through.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

// Room for a bit per element in any layout whose channels come in blocks of 8 or singly.
TensorType mask_type(const Shape& x) {
  constexpr int64_t kBlock = 8, kAlignment = 64;
  const int64_t bytes = x[0] * ((x[1] + kBlock - 1) / kBlock) * x[2] * x[3];
  return {DType::u8, {(bytes + kAlignment - 1) / kAlignment * kAlignment}};
}

void check_mask(const BatchNormAttributes& a) {
  if (a.mask && !a.relu) fail(Failure::usage, "has a mask but no relu; a mask is of a relu");
}

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  const auto& a = attributes.as<BatchNormAttributes>();
  check_inputs(inputs, a.residual ? 4 : 3);
  check_rank(inputs[0], "x", 4);
  const TensorType per_channel = f32({inputs[0].shape[1]});
  check_type(inputs[1], "w", per_channel);
  check_type(inputs[2], "b", per_channel);
  if (a.residual) check_type(inputs[3], "residual", inputs[0]);
  check_mask(a);
  std::vector<TensorType> outputs{inputs[0], per_channel, per_channel};
  if (a.mask) outputs.push_back(mask_type(inputs[0].shape));
  return outputs;
}

std::vector<TensorType> infer_grad(std::span<const TensorType> inputs,
                                   const Attributes& attributes) {
  const auto& a = attributes.as<BatchNormAttributes>();
  check_inputs(inputs, a.relu ? 6 : 5);
  check_rank(inputs[0], "x", 4);
  const TensorType per_channel = f32({inputs[0].shape[1]});
  check_type(inputs[1], "dy", inputs[0]);
  check_type(inputs[2], "mean", per_channel);
  check_type(inputs[3], "variance", per_channel);
  check_type(inputs[4], "w", per_channel);
  check_mask(a);
  if (a.mask) {
    check_type(inputs[5], "mask", mask_type(inputs[0].shape));
  } else if (a.relu) {
    check_type(inputs[5], "y", inputs[0]);
  }
  std::vector<TensorType> outputs{inputs[0], per_channel, per_channel};
  if (a.residual) outputs.push_back(inputs[0]);
  return outputs;
}

std::vector<TensorType> infer_inference(std::span<const TensorType> inputs,
                                        const Attributes& attributes) {
  const auto& a = attributes.as<BatchNormAttributes>();
  check_inputs(inputs, a.residual ? 6 : 5);
  check_rank(inputs[0], "x", 4);
  const TensorType per_channel = f32({inputs[0].shape[1]});
  constexpr std::string_view kNames[] = {"x", "w", "b", "running_mean", "running_var"};
  for (size_t i = 1; i < 5; ++i) check_type(inputs[i], kNames[i], per_channel);
  if (a.residual) check_type(inputs[5], "residual", inputs[0]);
  return {inputs[0]};
}

std::vector<Value> gradient(const GradientContext& c) {
  if (c.d_outputs[1] || c.d_outputs[2]) {
    fail(Failure::usage, c.node.label, ": batch_norm: its mean or variance is part of the loss; ",
         "only its first output has a gradient; compute moments by other ops");
  }
  BatchNormAttributes a = c.attributes<BatchNormAttributes>();
  std::vector<Value> inputs{c.inputs[0], c.d_outputs[0], c.outputs[1], c.outputs[2], c.inputs[1]};
  if (a.relu) inputs.push_back(c.outputs[a.mask ? 3 : 0]);
  const bool residual = a.residual;
  a.residual = residual && c.needed[3];
  const Value dx = c.apply("batch_norm_grad", std::move(inputs), Attributes::of(a), "grad");
  std::vector<Value> gradients(c.inputs.size());
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (c.needed[i]) gradients[i] = {&c.graph, {dx.id().node, static_cast<int32_t>(i)}};
  }
  return gradients;
}

// With constant moments batch norm is linear: by x its gradient is the op itself without shift. The
// moments are constants.
std::vector<Value> gradient_inference(const GradientContext& c) {
  const auto& a = c.attributes<BatchNormAttributes>();
  const auto plain = Attributes::of(BatchNormAttributes{.epsilon = a.epsilon});
  const Value x = c.inputs[0], w = c.inputs[1], b = c.inputs[2];
  const Value mean = c.inputs[3], variance = c.inputs[4];
  const Value dy = a.relu ? c.apply("relu_grad", {c.outputs[0], c.d_outputs[0]}, {}, "grad_relu")
                          : c.d_outputs[0];
  std::vector<Value> gradients(c.inputs.size());
  if (c.needed[1] || c.needed[2]) {  // as in training, whatever the moments are
    const Value sums = c.apply("batch_norm_grad", {x, dy, mean, variance, w}, plain, "grad_affine");
    gradients[1] = {&c.graph, {sums.id().node, 1}};
    gradients[2] = {&c.graph, {sums.id().node, 2}};
  }
  if (c.needed[0]) {
    const auto zero = Attributes::of(ScaleAttributes{0});
    const Value no_bias = c.apply("scale", {b}, zero, "grad_no_bias");
    const Value no_mean = c.apply("scale", {mean}, zero, "grad_no_mean");
    gradients[0] =
        c.apply("batch_norm_inference", {dy, w, no_bias, no_mean, variance}, plain, "grad");
  }
  if (a.residual && c.needed[5]) gradients[5] = dy;
  return gradients;
}

}  // namespace

void describe(Options<BatchNormAttributes>& o) {
  o("epsilon", &BatchNormAttributes::epsilon, "added to the variance", positive());
  o("relu", &BatchNormAttributes::relu, "followed by a ReLU");
  o("residual", &BatchNormAttributes::residual, "adds another value before the ReLU");
  o("mask", &BatchNormAttributes::mask, "the gradient reads bits of the ReLU instead of y");
}

void add_batch_norm(OpRegistry& ops) {
  ops.add({.name = "batch_norm",
           .help = "normalises each channel by the batch's moments, which it also gives",
           .infer = infer,
           .gradient = gradient,
           .in_place = {{.input = 3, .output = 0}}});
  ops.add({.name = "batch_norm_grad",
           .help = "gradients of batch_norm",
           .infer = infer_grad,
           .in_place = {{.input = 1, .output = 0}, {.input = 1, .output = 3}}});
  ops.add({.name = "batch_norm_inference",
           .help = "normalises each channel by the running moments",
           .infer = infer_inference,
           .gradient = gradient_inference,
           .in_place = {{.input = 0, .output = 0}, {.input = 5, .output = 0}}});
}

}  // namespace lockstep
