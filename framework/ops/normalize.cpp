// Pictures of bytes become numbers: y = (image / 255 - mean[c]) / std[c].
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  check_inputs(inputs, 1);
  const TensorType& image = inputs[0];
  const auto& a = attributes.as<NormalizeAttributes>();
  if (image.dtype != DType::u8 || image.shape.rank() != 4) {
    fail(Failure::usage, "image is ", image, "; expected u8(N, C, H, W)");
  }
  const auto channels = static_cast<size_t>(image.shape[1]);
  if (a.mean.size() != channels || a.std.size() != channels) {
    fail(Failure::usage, "image is ", image, ", mean has ", a.mean.size(), " and std ",
         a.std.size(), " values; expected one of each per channel; set data.mean and data.std");
  }
  for (double deviation : a.std) {
    if (!(deviation > 0)) {
      fail(Failure::usage, "std holds ", deviation, "; expected numbers above 0");
    }
  }
  const TensorType y{a.dtype, image.shape};
  check_real(y, "y");
  return {y};
}

}  // namespace

void describe(Options<NormalizeAttributes>& o) {
  o("mean", &NormalizeAttributes::mean, "per channel, of values in [0, 1]");
  o("std", &NormalizeAttributes::std, "per channel", positive());
  o("dtype", &NormalizeAttributes::dtype, "of the result");
}

void add_normalize(OpRegistry& ops) {
  ops.add({.name = "normalize",
           .help = "bytes to numbers: (image / 255 - mean) / std, per channel",
           .infer = infer});
}

}  // namespace lockstep
