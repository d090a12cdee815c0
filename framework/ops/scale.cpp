// A value times a constant.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 1);
  check_real(inputs[0], "x");
  return {inputs[0]};
}

std::vector<Value> gradient(const GradientContext& c) {
  return {c.apply("scale", {c.d_outputs[0]}, c.node.attributes, "grad")};
}

}  // namespace

void describe(Options<ScaleAttributes>& o) {
  o("factor", &ScaleAttributes::factor, "what x is multiplied with");
}

void add_scale(OpRegistry& ops) {
  ops.add({.name = "scale",
           .help = "x times a constant",
           .infer = infer,
           .gradient = gradient,
           .in_place = {{.input = 0, .output = 0}}});
}

}  // namespace lockstep
