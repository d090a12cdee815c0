#include <set>

#include "data/dataset_files.hpp"

namespace lockstep {
namespace {

std::unique_ptr<Dataset> open(Registry& registry, Split split = Split::train, uint64_t seed = 1) {
  return registry.find_dataset("shapes").make(
      {.split = split, .path = "", .seed = seed, .spec_only = false}, {});
}

// FNV-1a over the labels and pixels of samples first … last - 1.
uint64_t hash_of(const Dataset& dataset, int64_t first, int64_t last) {
  uint64_t hash = 14695981039346656037u;
  const auto add = [&](uint8_t byte) { hash = (hash ^ byte) * 1099511628211u; };
  Image image;
  for (int64_t i = first; i < last; ++i) {
    add(static_cast<uint8_t>(dataset.read(i, image)));
    for (int64_t k = 0; k < image.bytes(); ++k) add(image.data()[k]);
  }
  return hash;
}

class ShapesTest : public ::testing::Test {
 protected:
  Registry registry;
};

// Accuracies in documents and tests hold for exactly these pictures.
TEST_F(ShapesTest, DrawsTheSamePicturesOnEveryMachine) {
  EXPECT_EQ(hash_of(*open(registry, Split::train), 0, 100), 15511202933602258829u);
  EXPECT_EQ(hash_of(*open(registry, Split::test), 0, 100), 16935346830159182323u);
}

TEST_F(ShapesTest, DrawsTheSamePicturesForAnySeed) {
  EXPECT_EQ(hash_of(*open(registry, Split::train, 1), 0, 20),
            hash_of(*open(registry, Split::train, 2), 0, 20));
}

TEST_F(ShapesTest, HasEveryClassEquallyOften) {
  for (Split split : {Split::train, Split::test}) {
    const auto dataset = open(registry, split);
    std::vector<int64_t> counts(10);
    Image image;
    for (int64_t i = 0; i < 1000; ++i) ++counts[static_cast<size_t>(dataset->read(i, image))];
    EXPECT_EQ(counts, std::vector<int64_t>(10, 100));
    EXPECT_EQ(dataset->size() % 10, 0);
  }
}

TEST_F(ShapesTest, DrawsNoPictureTwice) {
  std::set<uint64_t> hashes;
  for (Split split : {Split::train, Split::test}) {
    const auto dataset = open(registry, split);
    for (int64_t i = 0; i < 1000; ++i) hashes.insert(hash_of(*dataset, i, i + 1));
  }
  EXPECT_EQ(hashes.size(), 2000u);
}

TEST_F(ShapesTest, NamesItsClasses) {
  const auto dataset = open(registry);
  EXPECT_EQ(dataset->spec().image, (Shape{3, 32, 32}));
  EXPECT_EQ(dataset->spec().classes, 10);
  EXPECT_EQ(dataset->spec().class_names[5], "star");
}

TEST_F(ShapesTest, TakesItsSizesFromOptions) {
  const Setting::Table options = {{"train_size", "", {int64_t{123}, ""}},
                                  {"test_size", "", {int64_t{0}, ""}}};
  const DatasetEntry& entry = registry.find_dataset("shapes");
  EXPECT_EQ(entry.make({.split = Split::train, .path = ""}, options)->size(), 123);
  EXPECT_EQ(entry.make({.split = Split::test, .path = ""}, options)->size(), 0);
}

}  // namespace
}  // namespace lockstep
