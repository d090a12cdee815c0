// The shorter side at a given length, the sides' ratio kept: torchvision's Resize(size) of a PIL
// picture, antialiased and bilinear.
#include <lockstep/plugin.hpp>

#include <algorithm>

#include "data/resample.hpp"

namespace {
using namespace lockstep;

// A picture one pixel wide would grow to any length; Pillow refuses pictures larger than this.
constexpr int64_t kMaxPixels = 178956970;

struct ResizeOptions {
  int size = 256;
};
void describe(Options<ResizeOptions>& o) {
  o("size", &ResizeOptions::size, "length of the shorter side in pixels", between(1, 8192));
}

class Resize final : public Transform {
 public:
  explicit Resize(const ResizeOptions& options) : options_(options) {}

  Shape output(const Shape& input) const override {
    if (input[1] == 0 || input[2] == 0) return input;  // known only when a picture is read
    return resized(Failure::usage, input);
  }

  void apply(Image& image, Image& scratch, RandomStream&) const override {
    const Shape to = resized(Failure::data, {image.channels, image.height, image.width});
    if (to[1] == image.height && to[2] == image.width) return;
    resample(image, {.height = image.height, .width = image.width}, static_cast<int>(to[1]),
             static_cast<int>(to[2]), scratch);
    swap(image, scratch);
  }

 private:
  // The longer side is rounded down, as torchvision does.
  Shape resized(Failure failure, const Shape& from) const {
    const int64_t height = from[1], width = from[2], shorter = std::min(height, width);
    const auto longer =
        static_cast<int64_t>(static_cast<double>(options_.size * std::max(height, width)) /
                             static_cast<double>(shorter));
    if (options_.size * longer > kMaxPixels) {
      fail(failure, "resize: the picture is ", height, " x ", width, ", and ", options_.size, " x ",
           longer, " with its shorter side at ", options_.size, "; expected at most ", kMaxPixels,
           " pixels; crop or remove the picture");
    }
    return height <= width ? Shape{from[0], options_.size, longer}
                           : Shape{from[0], longer, options_.size};
  }

  ResizeOptions options_;
};

}  // namespace

LS_PLUGIN(resize, registry) {
  registry.transform<Resize, ResizeOptions>("resize", "the shorter side at a given length");
}
