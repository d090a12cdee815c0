// One view of plain and blocked images: (N, blocks, rows of H * W * block elements). A plain image
// has blocks of one channel. Tensors of other ranks are seen as (N, C, the rest).
#pragma once

#include "base/layout.hpp"

namespace lockstep::cpu {

struct ImageView {
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t blocks = 0;  // ceil(channels / block)
  int64_t block = 1;
  int64_t height = 1;
  int64_t width = 1;

  static ImageView of(const TensorType& type) {
    const Shape& shape = type.shape;
    ImageView view;
    view.batch = shape[0];
    view.channels = shape.rank() > 1 ? shape[1] : 1;
    view.block = channel_block(type.layout);
    view.blocks = (view.channels + view.block - 1) / view.block;
    for (int axis = 2; axis + 1 < shape.rank(); ++axis) view.height *= shape[axis];
    if (shape.rank() > 2) view.width = shape[shape.rank() - 1];
    return view;
  }

  int64_t pixels() const { return height * width; }
  int64_t row() const { return pixels() * block; }  // elements of one sample's block
  int64_t rows() const { return batch * blocks; }
  int64_t offset(int64_t n, int64_t b) const { return (n * blocks + b) * row(); }
};

}  // namespace lockstep::cpu
