// Zeroes elements at random and scales the rest. Srivastava et al., JMLR 15, 2014. What is zeroed
// is a function of key, layer, sample and element, so the gradient draws the same numbers again and
// nothing is kept.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  const auto& a = attributes.as<DropoutAttributes>();
  check_inputs(inputs, 3);
  check_real(inputs[0], "x");
  if (inputs[0].shape.rank() < 1) fail(Failure::usage, "x is a scalar; expected (N, …)");
  check_type(inputs[1], "random_key", {DType::i64, {2}});
  check_type(inputs[2], "indices", {DType::i64, {inputs[0].shape[0]}});
  if (!(a.probability >= 0 && a.probability < 1)) {
    fail(Failure::usage, "probability is ", a.probability, "; expected at least 0 and below 1");
  }
  return {inputs[0]};
}

std::vector<Value> gradient(const GradientContext& c) {
  const Value dx =
      c.apply("dropout", {c.d_outputs[0], c.inputs[1], c.inputs[2]}, c.node.attributes, "grad");
  return {dx, {}, {}};
}

}  // namespace

void describe(Options<DropoutAttributes>& o) {
  o("probability", &DropoutAttributes::probability, "of an element to be zeroed", between(0, 1));
  o("layer", &DropoutAttributes::layer, "a number of the layer's own");
}

void add_dropout(OpRegistry& ops) {
  ops.add({.name = "dropout",
           .help = "zeroes elements at random and scales the rest",
           .infer = infer,
           .gradient = gradient,
           .in_place = {{.input = 0, .output = 0}}});
}

}  // namespace lockstep
