// Taking some channels, and putting zeros around them: each is the other's gradient.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer_slice(std::span<const TensorType> inputs,
                                    const Attributes& attributes) {
  const auto& a = attributes.as<ChannelsAttributes>();
  check_inputs(inputs, 1);
  check_rank(inputs[0], "x", 4);
  Shape y = inputs[0].shape;
  if (a.begin < 0 || a.count < 1 || a.begin > y[1] - a.count) {
    fail(Failure::usage, "x is ", inputs[0], ", channels ", a.begin, " to ", a.begin + a.count,
         "; expected at least one channel, all of x");
  }
  y[1] = a.count;
  return {{inputs[0].dtype, y}};
}

std::vector<TensorType> infer_pad(std::span<const TensorType> inputs,
                                  const Attributes& attributes) {
  const auto& a = attributes.as<ChannelsAttributes>();
  check_inputs(inputs, 1);
  check_rank(inputs[0], "x", 4);
  if (a.begin < 0 || a.count < 0) {
    fail(Failure::usage, a.begin, " channels before and ", a.count, " after; expected at least 0");
  }
  Shape y = inputs[0].shape;
  y[1] += a.begin + a.count;
  return {{inputs[0].dtype, y}};
}

std::vector<Value> gradient_of_slice(const GradientContext& c) {
  const auto& a = c.attributes<ChannelsAttributes>();
  const int64_t after = c.inputs[0].shape()[1] - a.begin - a.count;
  return {c.apply("pad_channels", {c.d_outputs[0]},
                  Attributes::of(ChannelsAttributes{a.begin, after}), "grad")};
}

std::vector<Value> gradient_of_pad(const GradientContext& c) {
  const auto& a = c.attributes<ChannelsAttributes>();
  return {c.apply("slice_channels", {c.d_outputs[0]},
                  Attributes::of(ChannelsAttributes{a.begin, c.inputs[0].shape()[1]}), "grad")};
}

}  // namespace

void describe(Options<ChannelsAttributes>& o) {
  o("begin", &ChannelsAttributes::begin, "the first channel; channels of zeros before");
  o("count", &ChannelsAttributes::count, "number of channels; channels of zeros after");
}

void add_channels(OpRegistry& ops) {
  ops.add({.name = "slice_channels",
           .help = "some of the channels",
           .infer = infer_slice,
           .gradient = gradient_of_slice});
  ops.add({.name = "pad_channels",
           .help = "zeros before and after the channels",
           .infer = infer_pad,
           .gradient = gradient_of_pad});
}

}  // namespace lockstep
