// The sum of a value over all ranks: communication, which the executor gives to its own thread.
#include "graph/op.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 1);
  if (inputs[0].dtype != DType::f64) check_dtype(inputs[0], "x", DType::f32);
  return {inputs[0]};
}

}  // namespace

void add_all_reduce(OpRegistry& ops) {
  ops.add({.name = "all_reduce",
           .help = "sum over all ranks",
           .infer = infer,
           .in_place = {{.input = 0, .output = 0}}});
}

}  // namespace lockstep
