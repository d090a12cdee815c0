// Mirrors left and right at random: torchvision's RandomHorizontalFlip(probability).
#include <lockstep/plugin.hpp>

#include <algorithm>

namespace {
using namespace lockstep;

struct HorizontalFlipOptions {
  double probability = 0.5;
};
void describe(Options<HorizontalFlipOptions>& o) {
  o("probability", &HorizontalFlipOptions::probability, "how often a picture is mirrored",
    between(0, 1));
}

class HorizontalFlip final : public Transform {
 public:
  explicit HorizontalFlip(const HorizontalFlipOptions& options) : options_(options) {}

  Shape output(const Shape& input) const override { return input; }

  void apply(Image& image, Image&, RandomStream& random) const override {
    if (random.uniform() >= options_.probability) return;
    for (int c = 0; c < image.channels; ++c) {
      for (int y = 0; y < image.height; ++y)
        std::reverse(image.row(c, y), image.row(c, y) + image.width);
    }
  }

 private:
  HorizontalFlipOptions options_;
};

}  // namespace

LS_PLUGIN(horizontal_flip, registry) {
  registry.transform<HorizontalFlip, HorizontalFlipOptions>("horizontal_flip",
                                                            "mirrors left and right");
}
