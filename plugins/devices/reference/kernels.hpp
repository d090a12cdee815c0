// The reference device's own kernels, by family: plain loops over plain layouts, float32 in memory,
// sums in double.
#pragma once

#include <lockstep/plugin.hpp>

#include "device/host_device.hpp"

namespace lockstep::reference {

void add_batch_norm_kernels(HostKernelTable& table);
void add_batch_norm_parts_kernels(HostKernelTable& table);
void add_convolution_kernels(HostKernelTable& table);
void add_linear_kernels(HostKernelTable& table);
void add_normalize_kernels(HostKernelTable& table);
void add_pooling_kernels(HostKernelTable& table);

// The extents of a batch of images.
struct Images {
  explicit Images(const TensorType& type)
      : samples(type.shape[0]),
        channels(type.shape[1]),
        height(type.shape[2]),
        width(type.shape[3]) {}

  // Where element (n, c, h, w) lies.
  int64_t at(int64_t n, int64_t c, int64_t h, int64_t w) const {
    return ((n * channels + c) * height + h) * width + w;
  }
  bool inside(int64_t h, int64_t w) const { return h >= 0 && h < height && w >= 0 && w < width; }

  int64_t samples, channels, height, width;
};

}  // namespace lockstep::reference
