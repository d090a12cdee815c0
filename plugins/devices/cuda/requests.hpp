// What the factories of own kernels share: checks of requests, the extents of images, the choice of
// a kernel by element type.
#pragma once

#include <string_view>
#include <utility>

#include "base/half.hpp"
#include "device/make_kernel.hpp"

namespace lockstep::cuda {

[[noreturn]] inline void refuse(const KernelRequest& request, const TensorType& type,
                                std::string_view expected) {
  fail(Failure::device, request.label, ": the cuda kernel of the op ", request.op,
       " was asked for ", type.text(), "; expected ", expected);
}

inline int64_t rounded_up(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// A batch of images as it lies in memory, (N, H, W, stored channels); a matrix (N, C) is one of a
// single pixel whose rows are not padded.
struct Images {
  int64_t samples, channels, height, width;
  int64_t stored_channels;

  int64_t pixels() const { return samples * height * width; }
  int64_t elements() const { return pixels() * stored_channels; }
};

// Channels last: nhwc8c; or plain where that is the same order, a pixel of full blocks.
inline bool lies_channels_last(const TensorType& type) {
  if (type.shape.rank() != 4) return false;
  if (type.layout == Layout::nhwc8c) return true;
  return type.layout == Layout::plain && type.shape[2] == 1 && type.shape[3] == 1 &&
         type.shape[1] % 8 == 0;
}

inline Images images_of(const KernelRequest& request, const TensorType& type) {
  if (!lies_channels_last(type)) refuse(request, type, "images as nhwc8c");
  const Shape& shape = type.shape;
  return {.samples = shape[0],
          .channels = shape[1],
          .height = shape[2],
          .width = shape[3],
          .stored_channels = rounded_up(shape[1], 8)};
}

// Images, or a plain matrix.
inline Images rows_of(const KernelRequest& request, const TensorType& type) {
  if (type.shape.rank() != 2) return images_of(request, type);
  if (type.layout != Layout::plain) refuse(request, type, "a plain matrix");
  return {.samples = type.shape[0],
          .channels = type.shape[1],
          .height = 1,
          .width = 1,
          .stored_channels = type.shape[1]};
}

inline void require_dtype(const KernelRequest& request, const TensorType& type, DType dtype) {
  if (type.dtype != dtype) refuse(request, type, name(dtype));
}

// Calls f with a value of the element type: float, F16 or Bf16.
template <class F>
decltype(auto) with_float_type(const KernelRequest& request, const TensorType& type, F&& f) {
  switch (type.dtype) {
    case DType::f32:
      return f(float());
    case DType::f16:
      return f(F16());
    case DType::bf16:
      return f(Bf16());
    default:
      refuse(request, type, "f32, f16 or bf16");
  }
}

// The same for launches outside of requests.
template <class F>
decltype(auto) with_float_type(DType dtype, F&& f) {
  LS_ASSERT(dtype == DType::f32 || is_half(dtype));
  if (dtype == DType::f16) return f(F16());
  if (dtype == DType::bf16) return f(Bf16());
  return f(float());
}

}  // namespace lockstep::cuda
