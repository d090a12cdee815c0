// The square in the middle of the picture, with zeros around a picture that is smaller:
// torchvision's CenterCrop(size).
#include <lockstep/plugin.hpp>

#include <algorithm>

namespace {
using namespace lockstep;

struct CenterCropOptions {
  int size = 224;
};
void describe(Options<CenterCropOptions>& o) {
  o("size", &CenterCropOptions::size, "side of the square in pixels", between(1, 8192));
}

// Where the square begins along an axis; negative: so many zeros come first. What is cut off is
// halved as Python's round() does it, half to even; what is missing, with the smaller half first.
int begin_of(int extent, int size) {
  if (extent < size) return -((size - extent) / 2);
  const int half = (extent - size) / 2;
  return (extent - size) % 2 == 0 ? half : half + half % 2;
}

class CenterCrop final : public Transform {
 public:
  explicit CenterCrop(const CenterCropOptions& options) : options_(options) {}

  Shape output(const Shape& input) const override {
    return {input[0], options_.size, options_.size};
  }

  void apply(Image& image, Image& scratch, RandomStream&) const override {
    const int size = options_.size;
    if (image.height == size && image.width == size) return;
    const int top = begin_of(image.height, size), left = begin_of(image.width, size);
    // Columns [first, last) of the result lie in the picture.
    const int first = std::max(-left, 0), last = std::min(image.width - left, size);
    scratch.resize(image.channels, size, size);
    for (int c = 0; c < image.channels; ++c) {
      for (int y = 0; y < size; ++y) {
        uint8_t* row = scratch.row(c, y);
        if (y + top < 0 || y + top >= image.height) {
          std::memset(row, 0, static_cast<size_t>(size));
          continue;
        }
        std::memset(row, 0, static_cast<size_t>(first));
        std::memcpy(row + first, image.row(c, y + top) + left + first,
                    static_cast<size_t>(last - first));
        std::memset(row + last, 0, static_cast<size_t>(size - last));
      }
    }
    swap(image, scratch);
  }

 private:
  CenterCropOptions options_;
};

}  // namespace

LS_PLUGIN(center_crop, registry) {
  registry.transform<CenterCrop, CenterCropOptions>("center_crop",
                                                    "the square in the middle of the picture");
}
