// An embedded dataset: ten shapes, drawn when they are read. Needs no files and no download.
//
// A picture is a function of (split, index) alone, whatever the recipe's seed. After one pass over
// 20,000 pictures a ResNet of 8 layers has 99.6% of the test set right, one of 20 layers 99.7%; a
// linear model stays at 24%.
#include <lockstep/plugin.hpp>

#include "render.hpp"

namespace {
using namespace lockstep;

struct ShapesOptions {
  int64_t train_size = 20000;
  int64_t test_size = 2000;
  int classes = 10;
};
void describe(Options<ShapesOptions>& o) {
  o("train_size", &ShapesOptions::train_size, "pictures to train on", at_least(0));
  o("test_size", &ShapesOptions::test_size, "pictures to test on", at_least(0));
  o("classes", &ShapesOptions::classes, "the first so many of the shapes", between(2, 10));
}

class Shapes final : public Dataset {
 public:
  Shapes(const DatasetSource& source, const ShapesOptions& options)
      : purpose_(source.split == Split::train ? "shapes train" : "shapes test"),
        size_(source.split == Split::train ? options.train_size : options.test_size),
        spec_{.image = {3, shapes::kSide, shapes::kSide},
              .classes = options.classes,
              .class_names = {shapes::kNames.begin(), shapes::kNames.begin() + options.classes}} {}

  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  int64_t read(int64_t index, Image& image) const override {
    constexpr uint64_t kKey = 0x7368617065730001;
    shapes::render(static_cast<int>(label(index)),
                   RandomStream(kKey, purpose_, 0, static_cast<uint64_t>(index)), image);
    return label(index);
  }
  // In a row of pictures all classes take turns.
  int64_t label(int64_t index) const override { return index % spec_.classes; }

 private:
  std::string_view purpose_;
  int64_t size_;
  DatasetSpec spec_;
};

}  // namespace

LS_PLUGIN(shapes, registry) {
  registry.dataset<Shapes, ShapesOptions>("shapes",
                                          "ten shapes, 32x32 RGB, drawn on the fly; no files");
}
