// The same values in another element type: where mixed precision begins and ends.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  check_inputs(inputs, 1);
  check_real(inputs[0], "x");
  const TensorType y{attributes.as<CastAttributes>().dtype, inputs[0].shape};
  check_real(y, "y");
  return {y};
}

// The gradient has the type of what it is the gradient of.
std::vector<Value> gradient(const GradientContext& c) {
  const CastAttributes back{c.inputs[0].type().dtype};
  return {c.apply("cast", {c.d_outputs[0]}, Attributes::of(back), "grad")};
}

}  // namespace

void describe(Options<CastAttributes>& o) { o("dtype", &CastAttributes::dtype, "of the result"); }

void add_cast(OpRegistry& ops) {
  ops.add(
      {.name = "cast", .help = "x in another element type", .infer = infer, .gradient = gradient});
}

}  // namespace lockstep
