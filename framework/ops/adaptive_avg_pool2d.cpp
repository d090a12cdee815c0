// Means over bins that divide the picture into out[0] x out[1], as torch.nn.AdaptiveAvgPool2d: bin
// i of an axis covers [floor(i * extent / out), ceil((i + 1) * extent / out)).
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

TensorType output_type(const TensorType& x, const AdaptivePoolAttributes& a) {
  check_rank(x, "x", 4);
  check_window(a.out, "out", 1);
  if (x.shape[2] < 1 || x.shape[3] < 1) fail_too_small(x.shape, "is empty");
  return {x.dtype, {x.shape[0], x.shape[1], a.out[0], a.out[1]}};
}

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  check_inputs(inputs, 1);
  return {output_type(inputs[0], attributes.as<AdaptivePoolAttributes>())};
}

std::vector<TensorType> infer_grad(std::span<const TensorType> inputs,
                                   const Attributes& attributes) {
  const auto& a = attributes.as<AdaptivePoolAttributes>();
  check_inputs(inputs, 1);
  const TensorType x{inputs[0].dtype, check_stored_shape(a.input_shape, "input_shape")};
  check_type(inputs[0], "dy", output_type(x, a));
  return {x};
}

std::vector<Value> gradient(const GradientContext& c) {
  AdaptivePoolAttributes a = c.attributes<AdaptivePoolAttributes>();
  a.input_shape = extents_of(c.inputs[0].shape());
  return {c.apply("adaptive_avg_pool2d_grad", {c.d_outputs[0]}, Attributes::of(a), "grad")};
}

}  // namespace

void describe(Options<AdaptivePoolAttributes>& o) {
  o("out", &AdaptivePoolAttributes::out, "height and width of the result", at_least(1));
  o("input_shape", &AdaptivePoolAttributes::input_shape, "of x, for the gradient");
}

void add_adaptive_avg_pool2d(OpRegistry& ops) {
  ops.add({.name = "adaptive_avg_pool2d",
           .help = "mean of each of out[0] x out[1] bins",
           .infer = infer,
           .gradient = gradient});
  ops.add({.name = "adaptive_avg_pool2d_grad",
           .help = "gradient of adaptive_avg_pool2d",
           .infer = infer_grad});
}

}  // namespace lockstep
