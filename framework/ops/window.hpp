// Output extents of convolutions and pooling, as PyTorch computes them.
#pragma once

#include <array>

#include "base/shape.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {

struct Window {
  std::array<int, 2> kernel{1, 1};
  std::array<int, 2> stride{1, 1};
  std::array<int, 2> padding{0, 0};
  std::array<int, 2> dilation{1, 1};
  bool ceil_mode = false;
};

// The number of windows along one axis; 0 where none fits.
inline int64_t window_count(int64_t extent, const Window& w, size_t axis) {
  const int64_t room =
      extent + 2 * int64_t{w.padding[axis]} - int64_t{w.dilation[axis]} * (w.kernel[axis] - 1) - 1;
  const int64_t stride = w.stride[axis];
  // With ceil_mode the last window, even if it is the only one, may stand out by up to a stride.
  const int64_t starts = w.ceil_mode ? room + stride - 1 : room;
  if (extent <= 0 || starts < 0) return 0;
  const int64_t count = starts / stride + 1;
  if (!w.ceil_mode) return count;
  // A last window that would start in the right padding is dropped.
  return (count - 1) * stride >= extent + w.padding[axis] ? count - 1 : count;
}

// (N, C, H, W) -> (N, channels, H', W'); throws where the window is malformed or fits nowhere.
inline Shape windowed_shape(const Shape& input, int64_t channels, const Window& w) {
  check_window(w.kernel, "kernel", 1);
  check_window(w.stride, "stride", 1);
  check_window(w.padding, "padding", 0);
  check_window(w.dilation, "dilation", 1);
  const Shape output{input[0], channels, window_count(input[2], w, 0),
                     window_count(input[3], w, 1)};
  if (output[2] < 1 || output[3] < 1) {
    fail_too_small(input, concat("has no room for a kernel of ", w.kernel[0], " x ", w.kernel[1],
                                 " with padding ", w.padding[0], " x ", w.padding[1]));
  }
  return output;
}

// The same for pooling, whose padding is at most half the kernel: every window sees the picture.
inline Shape pooled_shape(const Shape& input, const PoolAttributes& a) {
  if (2 * a.padding[0] > a.kernel[0] || 2 * a.padding[1] > a.kernel[1]) {
    fail(Failure::usage, "padding is ", a.padding[0], " x ", a.padding[1],
         "; expected at most half the kernel, which is ", a.kernel[0], " x ", a.kernel[1]);
  }
  return windowed_shape(input, input[1],
                        {.kernel = a.kernel,
                         .stride = a.stride,
                         .padding = a.padding,
                         .dilation = {1, 1},
                         .ceil_mode = a.ceil_mode});
}

}  // namespace lockstep
