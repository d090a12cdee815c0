// A convolution and what follows it, for evaluation: batch norm by running moments, the addition of
// a shortcut, ReLU. Made by passes/fold_batch_norm.cpp; not differentiable.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"
#include "ops/conv2d.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  const auto& a = attributes.as<Conv2dAttributes>();
  check_inputs(inputs, 2u + (a.residual ? 1 : 0) + (a.bias ? 1 : 0) + (a.batch_norm ? 4 : 0));
  const TensorType y = conv2d_output_type(inputs[0], inputs[1], a);
  check_dtype(inputs[1], "w", DType::f32);
  const TensorType per_channel = f32({y.shape[1]});
  size_t next = 2;
  if (a.residual) check_type(inputs[next++], "residual", y);
  if (a.bias) check_type(inputs[next++], "b", per_channel);
  if (a.batch_norm) {
    for (const char* name : {"bn_w", "bn_b", "bn_mean", "bn_var"}) {
      check_type(inputs[next++], name, per_channel);
    }
  }
  return {y};
}

}  // namespace

void add_conv2d_inference(OpRegistry& ops) {
  using Types = std::span<const TensorType>;
  ops.add({.name = "conv2d_inference",
           .help = "convolution with batch norm, shortcut and ReLU, for evaluation",
           .infer = infer,
           .in_place = {{.input = 2, .output = 0}},
           .multiply_adds = [](Types in, const TensorType& y, const Attributes&) {
             return conv2d_multiply_adds(y.shape, in[1].shape);
           }});
}

}  // namespace lockstep
