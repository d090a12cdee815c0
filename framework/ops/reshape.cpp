// The same elements in row-major order under another shape.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  const auto& a = attributes.as<ReshapeAttributes>();
  check_inputs(inputs, 1);
  if (a.shape.size() > Shape::kMaxRank) {
    fail(Failure::usage, "shape has ", a.shape.size(), " extents; expected at most ",
         Shape::kMaxRank);
  }
  const Shape shape{std::span<const int64_t>(a.shape)};
  bool negative = false;
  for (int64_t extent : shape) negative |= extent < 0;
  if (negative || shape.numel() != inputs[0].shape.numel()) {
    fail(Failure::usage, "x is ", inputs[0], " and shape ", shape,
         "; expected as many elements in both");
  }
  return {{inputs[0].dtype, shape}};
}

std::vector<Value> gradient(const GradientContext& c) {
  return {c.apply("reshape", {c.d_outputs[0]},
                  Attributes::of(ReshapeAttributes{extents_of(c.inputs[0].shape())}), "grad")};
}

}  // namespace

void describe(Options<ReshapeAttributes>& o) {
  o("shape", &ReshapeAttributes::shape, "of the result");
}

void add_reshape(OpRegistry& ops) {
  ops.add({.name = "reshape",
           .help = "the same elements under another shape",
           .infer = infer,
           .gradient = gradient,
           .in_place = {{.input = 0, .output = 0}}});
}

}  // namespace lockstep
