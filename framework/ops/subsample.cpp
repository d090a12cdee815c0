// Every stride-th row and column: He et al., arXiv:1512.03385, the shortcut of option A.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

TensorType output_type(const TensorType& x, int stride) {
  check_rank(x, "x", 4);
  if (stride < 1) fail(Failure::usage, "stride is ", stride, "; expected at least 1");
  Shape y = x.shape;
  y[2] = (y[2] + stride - 1) / stride;
  y[3] = (y[3] + stride - 1) / stride;
  return {x.dtype, y};
}

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  check_inputs(inputs, 1);
  return {output_type(inputs[0], attributes.as<SubsampleAttributes>().stride)};
}

std::vector<TensorType> infer_grad(std::span<const TensorType> inputs,
                                   const Attributes& attributes) {
  const auto& a = attributes.as<SubsampleAttributes>();
  check_inputs(inputs, 1);
  const TensorType x{inputs[0].dtype, check_stored_shape(a.input_shape, "input_shape")};
  check_type(inputs[0], "dy", output_type(x, a.stride));
  return {x};
}

std::vector<Value> gradient(const GradientContext& c) {
  SubsampleAttributes a = c.attributes<SubsampleAttributes>();
  a.input_shape = extents_of(c.inputs[0].shape());
  return {c.apply("subsample_grad", {c.d_outputs[0]}, Attributes::of(a), "grad")};
}

}  // namespace

void describe(Options<SubsampleAttributes>& o) {
  o("stride", &SubsampleAttributes::stride, "distance of the rows and columns kept", at_least(1));
  o("input_shape", &SubsampleAttributes::input_shape, "of x, for subsample_grad");
}

void add_subsample(OpRegistry& ops) {
  ops.add({.name = "subsample",
           .help = "every stride-th row and column",
           .infer = infer,
           .gradient = gradient});
  ops.add({.name = "subsample_grad", .help = "gradient of subsample", .infer = infer_grad});
}

}  // namespace lockstep
