// The windows of pooling along one axis, as PyTorch's, and the walk over vectors of channels.
#pragma once

#include "device/simt_vector.hpp"
#include "ops/attributes.hpp"
#include "requests.hpp"

namespace lockstep::cuda {

struct Range {
  int begin, end;
  __device__ int size() const { return end - begin; }
};

struct Axis {
  int extent, windows;  // of x and of y
  int kernel, stride, padding;

  // The window before and after it is cut to the image.
  __device__ Range padded(int window) const {
    const int begin = window * stride - padding;
    const int end = begin + kernel;
    return {begin, end < extent + padding ? end : extent + padding};
  }
  __device__ Range cut(int window) const {
    const Range range = padded(window);
    return {range.begin > 0 ? range.begin : 0, range.end < extent ? range.end : extent};
  }
  // The windows that contain a position of x.
  __device__ Range users(int position) const {
    const int last = (position + padding) / stride;
    const int before = position + padding - kernel;
    return {before < 0 ? 0 : before / stride + 1, last + 1 < windows ? last + 1 : windows};
  }
};

struct Pooling {
  Axis h, w;
  int samples, channels, vectors;  // vectors: of stored channels, per pixel

  LS_HD int64_t outputs() const { return int64_t{samples} * h.windows * w.windows * vectors; }
  LS_HD int64_t inputs() const { return int64_t{samples} * h.extent * w.extent * vectors; }

  // Where the first channel of a pixel's vector lies.
  __device__ int64_t input_at(int n, int row, int column, int vector) const {
    return (((int64_t{n} * h.extent + row) * w.extent + column) * vectors + vector) * simt::kVector;
  }
  __device__ int64_t output_at(int n, int row, int column, int vector) const {
    return (((int64_t{n} * h.windows + row) * w.windows + column) * vectors + vector) *
           simt::kVector;
  }
};

// Calls body(n, row, column, vector) for the vectors of images of height x width, in order of
// memory.
template <class Body>
__device__ void for_each_vector(int64_t count, int height, int width, int vectors, Body body) {
  for (int64_t i = simt::thread_number(); i < count; i += simt::thread_count()) {
    // 32 bits divide much faster; see pooling_of for the most there may be.
    auto rest = static_cast<uint32_t>(i);
    const uint32_t vector = rest % vectors;
    rest /= vectors;
    const uint32_t column = rest % width;
    rest /= width;
    body(static_cast<int>(rest / height), static_cast<int>(rest % height), static_cast<int>(column),
         static_cast<int>(vector));
  }
}

inline Pooling pooling_of(const KernelRequest& request, const TensorType& x_type,
                          const TensorType& y_type, const PoolAttributes& a) {
  const Images x = images_of(request, x_type), y = images_of(request, y_type);
  if (x.elements() / simt::kVector > UINT32_MAX || y.elements() / simt::kVector > UINT32_MAX) {
    refuse(request, x_type, "at most 2^35 elements; use a smaller batch");
  }
  const auto axis = [&](size_t k, int64_t extent, int64_t windows) {
    return Axis{static_cast<int>(extent), static_cast<int>(windows), a.kernel[k], a.stride[k],
                a.padding[k]};
  };
  return {.h = axis(0, x.height, y.height),
          .w = axis(1, x.width, y.width),
          .samples = static_cast<int>(x.samples),
          .channels = static_cast<int>(x.channels),
          .vectors = static_cast<int>(x.stored_channels / simt::kVector)};
}

}  // namespace lockstep::cuda
