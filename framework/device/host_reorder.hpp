// Between the physical layouts of images, element by element: right for every pair, fast for none.
#pragma once

#include "base/layout.hpp"

namespace lockstep {

// The place in memory of logical element (n, c, h, w) of a four-dimensional tensor.
inline int64_t element_offset(const TensorType& type, int64_t n, int64_t c, int64_t h, int64_t w) {
  const int64_t channels = type.shape[1];
  const int64_t height = type.shape[2];
  const int64_t width = type.shape[3];
  if (type.layout == Layout::plain) return ((n * channels + c) * height + h) * width + w;
  if (type.layout == Layout::nhwc) return ((n * height + h) * width + w) * channels + c;
  const int64_t block = channel_block(type.layout);
  const int64_t blocks = (channels + block - 1) / block;
  if (type.layout == Layout::nhwc8c) {
    return ((n * height + h) * width + w) * blocks * block + c;
  }
  return (((n * blocks + c / block) * height + h) * width + w) * block + c % block;
}

// Copies images [begin, end) of the batch into the layout of the destination, whose channel padding
// becomes zero. Equal shapes; f32, bf16, f16 or u8 on both sides. Tensors that are not
// four-dimensional are plain on both sides, and rows are copied.
void reorder(const TensorType& source_type, const void* source, const TensorType& destination_type,
             void* destination, int64_t begin, int64_t end);

// Sets the channels past C of a blocked f32 tensor to zero; nothing for other layouts.
void zero_channel_padding(const TensorType& type, float* data);

}  // namespace lockstep
