// Antialiased bilinear resizing, bit-equal to Pillow's Image.resize(size, BILINEAR).
#pragma once

#include "data/dataset.hpp"

namespace lockstep {

// A rectangle of a picture, in pixels.
struct Window {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;
};

// Makes `result` the window of `image`, resized to height x width as if the window had been cut out
// first: pixels around it have no influence. `result` is another picture than `image`; all extents
// are positive and the window lies in the picture. Any thread; allocates nothing once a thread's
// buffers have grown to its largest picture.
void resample(const Image& image, const Window& window, int height, int width, Image& result);

}  // namespace lockstep
