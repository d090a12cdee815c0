// A tensor's type: element type, logical shape (NCHW for images), and how a device lays it out in
// memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/dtype.hpp"
#include "base/shape.hpp"

namespace lockstep {

// Physical order of a tensor of logical shape (N, C, H, W). `plain` is row-major in logical order,
// and the only layout of tensors that are not four-dimensional. `nchw8c` is (N, ceil(C / 8), H, W,
// 8), `nhwc8c` (N, H, W, ceil(C / 8) * 8): channels past C exist in memory and are always zero.
enum class Layout : uint8_t { plain, nhwc, nchw8c, nchw16c, nhwc8c };

constexpr int channel_block(Layout layout) {
  if (layout == Layout::nchw16c) return 16;
  return layout == Layout::nchw8c || layout == Layout::nhwc8c ? 8 : 1;
}

constexpr std::string_view name(Layout layout) {
  constexpr std::string_view kNames[] = {"plain", "nhwc", "nchw8c", "nchw16c", "nhwc8c"};
  return kNames[static_cast<int>(layout)];
}

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;
  Layout layout = Layout::plain;

  // Elements in memory: those of the shape, and the zero channels that fill the last block.
  int64_t stored_elements() const {
    const int block = channel_block(layout);
    if (block == 1) return shape.numel();
    return shape[0] * ((shape[1] + block - 1) / block * block) * shape[2] * shape[3];
  }
  int64_t bytes() const { return stored_elements() * size_of(dtype); }

  // "f32(128, 64, 32, 32)", with ":nchw16c" where the layout is not plain
  std::string text() const {
    std::string text(name(dtype));
    text += shape.text();
    if (layout != Layout::plain) text += concat(':', name(layout));
    return text;
  }

  friend bool operator==(const TensorType&, const TensorType&) = default;
};

}  // namespace lockstep
