// Values one after the other along their channels.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes&) {
  if (inputs.empty()) fail(Failure::usage, "has no inputs; expected at least one");
  check_rank(inputs[0], "x0", 4);
  Shape y = inputs[0].shape;
  for (size_t i = 1; i < inputs.size(); ++i) {
    check_rank(inputs[i], lockstep::concat('x', i), 4);
    const Shape& x = inputs[i].shape;
    const bool same = inputs[i].dtype == inputs[0].dtype;
    if (!same || x[0] != y[0] || x[2] != y[2] || x[3] != y[3]) {
      fail(Failure::usage, "x0 is ", inputs[0], " and x", i, ' ', inputs[i],
           "; expected values that differ in their channels alone");
    }
    y[1] += x[1];
  }
  return {{inputs[0].dtype, y}};
}

std::vector<Value> gradient(const GradientContext& c) {
  std::vector<Value> gradients(c.inputs.size());
  int64_t begin = 0;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const int64_t count = c.inputs[i].shape()[1];
    if (c.needed[i]) {
      gradients[i] = c.apply("slice_channels", {c.d_outputs[0]},
                             Attributes::of(ChannelsAttributes{begin, count}), "grad");
    }
    begin += count;
  }
  return gradients;
}

}  // namespace

void add_concat(OpRegistry& ops) {
  ops.add({.name = "concat",
           .help = "values one after the other along their channels",
           .infer = infer,
           .gradient = gradient});
}

}  // namespace lockstep
