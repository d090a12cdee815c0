// Batch normalisation over the samples of all ranks, in parts between which sums are all-reduced.
// Sums travel as f64, so that the variance survives sum of squares minus squared sum.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer_moments(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 1);
  check_rank(inputs[0], "x", 4);
  return {f64({2 * inputs[0].shape[1] + 1})};
}

std::vector<TensorType> infer_apply(std::span<const TensorType> inputs,
                                    const Attributes& attributes) {
  const auto& a = attributes.as<BatchNormAttributes>();
  if (a.relu || a.residual) {
    fail(Failure::usage, "has relu or residual; expected neither; apply them as ops of their own");
  }
  check_inputs(inputs, 4);
  check_rank(inputs[0], "x", 4);
  const int64_t channels = inputs[0].shape[1];
  const TensorType per_channel = f32({channels});
  check_type(inputs[1], "moments", f64({2 * channels + 1}));
  check_type(inputs[2], "w", per_channel);
  check_type(inputs[3], "b", per_channel);
  return {inputs[0], per_channel, per_channel};
}

void check_grad_inputs(std::span<const TensorType> inputs) {
  check_rank(inputs[0], "x", 4);
  const TensorType per_channel = f32({inputs[0].shape[1]});
  check_type(inputs[1], "dy", inputs[0]);
  check_type(inputs[2], "mean", per_channel);
  check_type(inputs[3], "variance", per_channel);
}

std::vector<TensorType> infer_grad_sums(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 4);
  check_grad_inputs(inputs);
  const int64_t channels = inputs[0].shape[1];
  return {f64({2 * channels}), f32({channels}), f32({channels})};
}

std::vector<TensorType> infer_grad_apply(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 7);
  check_grad_inputs(inputs);
  const int64_t channels = inputs[0].shape[1];
  check_type(inputs[4], "w", f32({channels}));
  check_type(inputs[5], "sums", f64({2 * channels}));
  check_type(inputs[6], "moments", f64({2 * channels + 1}));
  return {inputs[0]};
}

// dx holds what flows through the moments too, so they get none. dw and db are this rank's share.
std::vector<Value> gradient(const GradientContext& c) {
  if (c.d_outputs[1] || c.d_outputs[2]) {
    fail(Failure::usage, c.node.label, ": batch_norm_apply: its mean or variance is part of the ",
         "loss; only its first output has a gradient; compute moments by other ops");
  }
  const Value x = c.inputs[0], moments = c.inputs[1], w = c.inputs[2];
  const Value mean = c.outputs[1], variance = c.outputs[2], dy = c.d_outputs[0];
  const Attributes& attributes = c.node.attributes;
  const Value sums =
      c.apply("batch_norm_grad_sums", {x, dy, mean, variance}, attributes, "grad_sums");
  std::vector<Value> gradients(4);
  if (c.needed[0]) {
    const Value all_sums = c.apply("all_reduce", {sums}, {}, "grad_all_reduce");
    gradients[0] = c.apply("batch_norm_grad_apply", {x, dy, mean, variance, w, all_sums, moments},
                           attributes, "grad_apply");
  }
  if (c.needed[2]) gradients[2] = {&c.graph, {sums.id().node, 1}};
  if (c.needed[3]) gradients[3] = {&c.graph, {sums.id().node, 2}};
  return gradients;
}

}  // namespace

void add_sync_batch_norm(OpRegistry& ops) {
  ops.add({.name = "batch_moments",
           .help = "per channel sums and sums of squares, and the count",
           .infer = infer_moments});
  ops.add({.name = "batch_norm_apply",
           .help = "normalises each channel by moments over all ranks",
           .infer = infer_apply,
           .gradient = gradient});
  ops.add({.name = "batch_norm_grad_sums",
           .help = "per channel sums that the gradient of batch_norm_apply needs from all ranks",
           .infer = infer_grad_sums});
  ops.add({.name = "batch_norm_grad_apply",
           .help = "gradient of batch_norm_apply by its input",
           .infer = infer_grad_apply,
           .in_place = {{.input = 1, .output = 0}}});
}

}  // namespace lockstep
