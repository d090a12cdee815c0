// y = x w^T + b, as torch.nn.Linear.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

// Of linear in x's type and, for evaluation, of linear_inference, whose weight stays a parameter.
std::vector<TensorType> infer_with_weight(std::span<const TensorType> inputs,
                                          const Attributes& attributes, DType weight) {
  const bool bias = attributes.as<LinearAttributes>().bias;
  check_inputs(inputs, bias ? 3 : 2);
  check_rank(inputs[0], "x", 2);
  check_rank(inputs[1], "w", 2);
  const Shape &x = inputs[0].shape, &w = inputs[1].shape;
  if (x[1] != w[1] || x[1] < 1 || w[0] < 1) {
    fail(Failure::usage, "x is ", inputs[0], " and w ", inputs[1],
         "; expected (N, K) and (O, K) with O and K at least 1");
  }
  check_dtype(inputs[1], "w", weight);
  if (bias) check_type(inputs[2], "b", f32({w[0]}));
  return {{inputs[0].dtype, {x[0], w[0]}}};
}

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  const DType type = inputs.empty() ? DType::f32 : inputs[0].dtype;
  return infer_with_weight(inputs, attributes, type);
}

std::vector<TensorType> infer_inference(std::span<const TensorType> inputs,
                                        const Attributes& attributes) {
  return infer_with_weight(inputs, attributes, DType::f32);
}

std::vector<TensorType> infer_grad_input(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 2);
  check_rank(inputs[0], "dy", 2);
  check_rank(inputs[1], "w", 2);
  const Shape &dy = inputs[0].shape, &w = inputs[1].shape;
  check_type(inputs[0], "dy", {inputs[1].dtype, {dy[0], w[0]}});
  return {{inputs[0].dtype, {dy[0], w[1]}}};
}

std::vector<TensorType> infer_grad_weight(std::span<const TensorType> inputs,
                                          const Attributes& attributes) {
  check_inputs(inputs, 2);
  check_rank(inputs[0], "x", 2);
  check_rank(inputs[1], "dy", 2);
  const Shape &x = inputs[0].shape, &dy = inputs[1].shape;
  check_type(inputs[1], "dy", {inputs[0].dtype, {x[0], dy[1]}});
  std::vector<TensorType> outputs{{inputs[0].dtype, {dy[1], x[1]}}};
  if (attributes.as<LinearAttributes>().bias) outputs.push_back(f32({dy[1]}));
  return outputs;
}

std::vector<Value> gradient(const GradientContext& c) {
  const Value x = c.inputs[0], w = c.inputs[1], dy = c.d_outputs[0];
  std::vector<Value> gradients(c.inputs.size());
  if (c.needed[0]) {
    gradients[0] =
        c.apply("linear_grad_input", {dy, w}, Attributes::of(LinearAttributes{}), "grad_input");
  }
  const bool bias_needed = c.attributes<LinearAttributes>().bias && c.needed[2];
  if (c.needed[1] || bias_needed) {
    const Value dw = c.apply("linear_grad_weight", {x, dy},
                             Attributes::of(LinearAttributes{bias_needed}), "grad_weight");
    if (c.needed[1]) gradients[1] = dw;
    if (bias_needed) gradients[2] = {&c.graph, {dw.id().node, 1}};
  }
  return gradients;
}

}  // namespace

void describe(Options<LinearAttributes>& o) {
  o("bias", &LinearAttributes::bias, "adds a value per output");
  o("relu", &LinearAttributes::relu, "ends with a ReLU");
}

void add_linear(OpRegistry& ops) {
  using Types = std::span<const TensorType>;
  ops.add({.name = "linear",
           .help = "fully connected layer: x w^T + b",
           .infer = infer,
           .gradient = gradient,
           .multiply_adds = [](Types in, const TensorType& y, const Attributes&) {
             return y.shape.numel() * in[0].shape[1];
           }});
  // Made by passes/fold_batch_norm.cpp.
  ops.add({.name = "linear_inference",
           .help = "fully connected layer with ReLU, for evaluation",
           .infer = infer_inference,
           .multiply_adds = [](Types in, const TensorType& y, const Attributes&) {
             return y.shape.numel() * in[0].shape[1];
           }});
  ops.add({.name = "linear_grad_input",
           .help = "gradient of linear by its input",
           .infer = infer_grad_input,
           .multiply_adds = [](Types in, const TensorType& dx, const Attributes&) {
             return dx.shape.numel() * in[0].shape[1];
           }});
  ops.add({.name = "linear_grad_weight",
           .help = "gradients of linear by its weight and bias",
           .infer = infer_grad_weight,
           .multiply_adds = [](Types in, const TensorType& dw, const Attributes&) {
             return dw.shape.numel() * in[0].shape[0];
           }});
}

}  // namespace lockstep
