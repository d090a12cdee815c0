// The mean of each window, as torch.nn.AvgPool2d.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"
#include "ops/window.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  check_inputs(inputs, 1);
  check_rank(inputs[0], "x", 4);
  return {{inputs[0].dtype, pooled_shape(inputs[0].shape, attributes.as<PoolAttributes>())}};
}

std::vector<TensorType> infer_grad(std::span<const TensorType> inputs,
                                   const Attributes& attributes) {
  const auto& a = attributes.as<PoolAttributes>();
  check_inputs(inputs, 1);
  const Shape x = check_stored_shape(a.input_shape, "input_shape");
  check_real(inputs[0], "dy");
  check_type(inputs[0], "dy", {inputs[0].dtype, pooled_shape(x, a)});
  return {{inputs[0].dtype, x}};
}

std::vector<Value> gradient(const GradientContext& c) {
  PoolAttributes a = c.attributes<PoolAttributes>();
  a.input_shape = extents_of(c.inputs[0].shape());
  return {c.apply("avg_pool2d_grad", {c.d_outputs[0]}, Attributes::of(a), "grad")};
}

}  // namespace

void add_avg_pool2d(OpRegistry& ops) {
  ops.add(
      {.name = "avg_pool2d", .help = "mean of each window", .infer = infer, .gradient = gradient});
  ops.add({.name = "avg_pool2d_grad", .help = "gradient of avg_pool2d", .infer = infer_grad});
}

}  // namespace lockstep
