// A random square of the picture with a border of zeros around it: torchvision's RandomCrop(size,
// padding).
#include <lockstep/plugin.hpp>

#include <algorithm>

namespace {
using namespace lockstep;

struct RandomCropOptions {
  int size = 0;
  int padding = 0;
};
void describe(Options<RandomCropOptions>& o) {
  o("size", &RandomCropOptions::size, "side of the square in pixels; 0: the picture's own size",
    between(0, 8192));
  o("padding", &RandomCropOptions::padding, "zeros added on each side before cropping, in pixels",
    between(0, 8192));
}

class RandomCrop final : public Transform {
 public:
  explicit RandomCrop(const RandomCropOptions& options) : options_(options) {}

  Shape output(const Shape& input) const override {
    if (input[1] > 0)
      check(Failure::usage, input[1], input[2]);  // 0: known only when a picture is read
    return options_.size == 0 ? input : Shape{input[0], options_.size, options_.size};
  }

  // Draws the top, then the left.
  void apply(Image& image, Image& scratch, RandomStream& random) const override {
    check(Failure::data, image.height, image.width);
    const int height = options_.size == 0 ? image.height : options_.size;
    const int width = options_.size == 0 ? image.width : options_.size;
    const int padding = options_.padding;
    const int top = draw(random, image.height + 2 * padding - height) - padding;
    const int left = draw(random, image.width + 2 * padding - width) - padding;
    // Columns [first, last) of the result lie in the picture.
    const int first = std::clamp(-left, 0, width),
              last = std::clamp(image.width - left, first, width);
    scratch.resize(image.channels, height, width);
    for (int c = 0; c < image.channels; ++c) {
      for (int y = 0; y < height; ++y) {
        uint8_t* row = scratch.row(c, y);
        if (y + top < 0 || y + top >= image.height || first == last) {
          std::memset(row, 0, static_cast<size_t>(width));
          continue;
        }
        std::memset(row, 0, static_cast<size_t>(first));
        std::memcpy(row + first, image.row(c, y + top) + left + first,
                    static_cast<size_t>(last - first));
        std::memset(row + last, 0, static_cast<size_t>(width - last));
      }
    }
    swap(image, scratch);
  }

 private:
  static int draw(RandomStream& random, int most) {
    return static_cast<int>(random.below(static_cast<uint64_t>(most) + 1));
  }

  void check(Failure failure, int64_t height, int64_t width) const {
    const int64_t border = 2 * int64_t{options_.padding};
    if (options_.size <= height + border && options_.size <= width + border) return;
    fail(failure, "random_crop: the picture is ", height, " x ", width, " with a padding of ",
         options_.padding, "; expected room for a square of ", options_.size,
         "; lower 'size' or raise 'padding'");
  }

  RandomCropOptions options_;
};

}  // namespace

LS_PLUGIN(random_crop, registry) {
  registry.transform<RandomCrop, RandomCropOptions>("random_crop",
                                                    "a random square, with a border of zeros");
}
