// The maximum of each window, as torch.nn.MaxPool2d. The index says where in its window the first
// maximum lies, so the gradient needs neither x nor y.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"
#include "ops/window.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  const auto& a = attributes.as<PoolAttributes>();
  check_inputs(inputs, 1);
  check_rank(inputs[0], "x", 4);
  const Shape y = pooled_shape(inputs[0].shape, a);
  if (int64_t{a.kernel[0]} * a.kernel[1] > 256) {
    fail(Failure::usage, "kernel is ", a.kernel[0], " x ", a.kernel[1],
         "; expected at most 256 elements, for the index is a byte");
  }
  return {{inputs[0].dtype, y}, {DType::u8, y}};
}

std::vector<TensorType> infer_grad(std::span<const TensorType> inputs,
                                   const Attributes& attributes) {
  const auto& a = attributes.as<PoolAttributes>();
  check_inputs(inputs, 2);
  const Shape x = check_stored_shape(a.input_shape, "input_shape");
  const Shape y = pooled_shape(x, a);
  check_real(inputs[0], "dy");
  check_type(inputs[0], "dy", {inputs[0].dtype, y});
  check_type(inputs[1], "index", {DType::u8, y});
  return {{inputs[0].dtype, x}};
}

std::vector<Value> gradient(const GradientContext& c) {
  PoolAttributes a = c.attributes<PoolAttributes>();
  a.input_shape = extents_of(c.inputs[0].shape());
  return {c.apply("max_pool2d_grad", {c.d_outputs[0], c.outputs[1]}, Attributes::of(a), "grad")};
}

}  // namespace

void describe(Options<PoolAttributes>& o) {
  o("kernel", &PoolAttributes::kernel, "height and width of the window", at_least(1));
  o("stride", &PoolAttributes::stride, "height and width", at_least(1));
  o("padding", &PoolAttributes::padding, "on each side, height and width", at_least(0));
  o("ceil_mode", &PoolAttributes::ceil_mode, "windows may reach past the padding");
  o("count_include_pad", &PoolAttributes::count_include_pad, "averages count padded zeros");
  o("input_shape", &PoolAttributes::input_shape, "of x, for gradients");
}

void add_max_pool2d(OpRegistry& ops) {
  ops.add({.name = "max_pool2d",
           .help = "maximum of each window, and where it lies",
           .infer = infer,
           .gradient = gradient});
  ops.add({.name = "max_pool2d_grad", .help = "gradient of max_pool2d", .infer = infer_grad});
}

}  // namespace lockstep
