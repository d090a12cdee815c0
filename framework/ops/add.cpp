// The sum of two values of the same shape.
#include "graph/op.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 2);
  check_real(inputs[0], "a");
  if (inputs[0] != inputs[1]) {
    fail(Failure::usage, "a is ", inputs[0], " and b ", inputs[1], "; expected equal types");
  }
  return {inputs[0]};
}

std::vector<Value> gradient(const GradientContext& c) {
  std::vector<Value> gradients(2);
  for (size_t i = 0; i < 2; ++i) {
    if (c.needed[i]) gradients[i] = c.d_outputs[0];
  }
  return gradients;
}

}  // namespace

void add_add(OpRegistry& ops) {
  ops.add({.name = "add",
           .help = "a + b",
           .infer = infer,
           .gradient = gradient,
           .in_place = {{.input = 0, .output = 0}, {.input = 1, .output = 0}}});
}

}  // namespace lockstep
