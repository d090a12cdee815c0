// A random part of the picture, of random area and shape, resized to a square: torchvision's
// RandomResizedCrop(size, scale, ratio). Szegedy et al., arXiv:1409.4842, section 6.
#include <lockstep/plugin.hpp>

#include <algorithm>
#include <array>

#include "data/resample.hpp"

namespace {
using namespace lockstep;

constexpr int kTries = 10;

struct RandomResizedCropOptions {
  int size = 224;
  std::array<double, 2> scale{0.08, 1.0};
  std::array<double, 2> ratio{0.75, 4.0 / 3.0};
};
void describe(Options<RandomResizedCropOptions>& o) {
  o("size", &RandomResizedCropOptions::size, "side of the resulting square in pixels",
    between(1, 8192));
  o("scale", &RandomResizedCropOptions::scale,
    "least and largest part of the picture's area that is cut out", between(0, 1));
  o("ratio", &RandomResizedCropOptions::ratio,
    "least and largest width of the part over its height", between(0.01, 100));
}

// Python's round(): half to even, which is how the floating-point unit rounds.
int rounded(double x) { return static_cast<int>(std::nearbyint(x)); }

class RandomResizedCrop final : public Transform {
 public:
  explicit RandomResizedCrop(const RandomResizedCropOptions& options) : options_(options) {
    check("scale", options_.scale);
    check("ratio", options_.ratio);
  }

  Shape output(const Shape& input) const override {
    return {input[0], options_.size, options_.size};
  }

  void apply(Image& image, Image& scratch, RandomStream& random) const override {
    const Window window = draw(image.height, image.width, random);
    resample(image, window, options_.size, options_.size, scratch);
    swap(image, scratch);
  }

 private:
  static void check(const char* name, const std::array<double, 2>& range) {
    if (range[0] <= range[1]) return;
    fail(Failure::usage, "random_resized_crop: ", name, " is [", range[0], ", ", range[1],
         "]; expected the smaller number first");
  }

  // Draws area and ratio until such a window fits, then its place; after ten tries the largest
  // window in the middle whose ratio is allowed.
  Window draw(int height, int width, RandomStream& random) const {
    const double area = static_cast<double>(height) * width;
    const double log_least = std::log(options_.ratio[0]), log_most = std::log(options_.ratio[1]);
    for (int i = 0; i < kTries; ++i) {
      const double target = area * random.uniform(options_.scale[0], options_.scale[1]);
      const double ratio = std::exp(random.uniform(log_least, log_most));
      const int w = rounded(std::sqrt(target * ratio)), h = rounded(std::sqrt(target / ratio));
      if (w <= 0 || w > width || h <= 0 || h > height) continue;
      const int top = place(height - h, random);
      return {.top = top, .left = place(width - w, random), .height = h, .width = w};
    }
    return central(height, width);
  }

  static int place(int room, RandomStream& random) {
    return static_cast<int>(random.below(static_cast<uint64_t>(room) + 1));
  }

  Window central(int height, int width) const {
    const double ratio = static_cast<double>(width) / height;
    int h = height, w = width;
    if (ratio < options_.ratio[0]) h = std::clamp(rounded(width / options_.ratio[0]), 1, height);
    if (ratio > options_.ratio[1]) w = std::clamp(rounded(height * options_.ratio[1]), 1, width);
    return {.top = (height - h) / 2, .left = (width - w) / 2, .height = h, .width = w};
  }

  RandomResizedCropOptions options_;
};

}  // namespace

LS_PLUGIN(random_resized_crop, registry) {
  registry.transform<RandomResizedCrop, RandomResizedCropOptions>(
      "random_resized_crop", "a random part of random area and shape, resized to a square");
}
