// The same tensor in another physical layout; made by the layout pass alone.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  check_inputs(inputs, 1);
  const auto layout = static_cast<Layout>(attributes.as<ReorderAttributes>().layout);
  TensorType y = inputs[0];
  if (layout != Layout::plain && y.shape.rank() != 4) {
    fail(Failure::usage, "x is ", y, "; expected (N, C, H, W), the only shape with a choice of ",
         "layouts");
  }
  y.layout = layout;
  return {y};
}

}  // namespace

void describe(Options<ReorderAttributes>& o) {
  o("layout", &ReorderAttributes::layout, "number of the layout of the result", between(0, 4));
}

void add_reorder(OpRegistry& ops) {
  ops.add({.name = "reorder", .help = "x in another physical layout", .infer = infer});
}

}  // namespace lockstep
