#include <algorithm>

#include "plugin/registry.hpp"
#include "support/expect_error.hpp"

namespace lockstep {
namespace {

using testing::expect_error;

// Pixel (c, y, x) is 100 * c + 10 * y + x + 1.
Image numbered_image(int channels, int height, int width) {
  Image image;
  image.resize(channels, height, width);
  for (int c = 0; c < channels; ++c) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x)
        image.row(c, y)[x] = static_cast<uint8_t>(100 * c + 10 * y + x + 1);
    }
  }
  return image;
}

Setting::Table options(std::initializer_list<std::pair<const char*, Setting::Value>> values) {
  Setting::Table table;
  for (const auto& [key, value] : values) table.push_back({key, "", {value, "here"}});
  return table;
}

RandomStream stream(uint64_t sample) { return RandomStream(1, "augment", 1, sample); }

class TransformsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Transform> make(const char* name, const Setting::Table& settings) {
    return registry.find_transform(name).make(settings);
  }
  Image apply(const Transform& transform, Image image, uint64_t sample = 0) {
    Image scratch;
    RandomStream random = stream(sample);
    transform.apply(image, scratch, random);
    return image;
  }
  Registry registry;
};

// The definition: pad with zeros, draw top and then left, cut out.
Image cropped(const Image& image, int size, int padding, RandomStream random) {
  const auto draw = [&](int extent) {
    return static_cast<int>(random.below(static_cast<uint64_t>(extent + 2 * padding - size + 1))) -
           padding;
  };
  const int top = draw(image.height), left = draw(image.width);
  Image result;
  result.resize(image.channels, size, size);
  for (int c = 0; c < image.channels; ++c) {
    for (int y = 0; y < size; ++y) {
      for (int x = 0; x < size; ++x) {
        const int from_y = y + top, from_x = x + left;
        const bool outside =
            from_y < 0 || from_y >= image.height || from_x < 0 || from_x >= image.width;
        result.row(c, y)[x] = outside ? 0 : image.row(c, from_y)[from_x];
      }
    }
  }
  return result;
}

void expect_equal(const Image& found, const Image& expected) {
  ASSERT_EQ(found.channels, expected.channels);
  ASSERT_EQ(found.height, expected.height);
  ASSERT_EQ(found.width, expected.width);
  EXPECT_TRUE(std::equal(found.data(), found.data() + found.bytes(), expected.data()));
}

TEST_F(TransformsTest, RandomCropCutsAWindowOutOfThePaddedPicture) {
  struct Case {
    int height, width, size, padding;
  };
  for (const Case& c :
       {Case{8, 8, 8, 4}, {8, 8, 5, 0}, {6, 9, 4, 2}, {5, 5, 5, 0}, {3, 3, 2, 9}, {4, 4, 12, 4}}) {
    const Image image = numbered_image(2, c.height, c.width);
    const auto crop =
        make("random_crop", options({{"size", int64_t{c.size}}, {"padding", int64_t{c.padding}}}));
    EXPECT_EQ(crop->output({2, c.height, c.width}), (Shape{2, c.size, c.size}));
    for (uint64_t sample = 0; sample < 200; ++sample) {
      expect_equal(apply(*crop, image, sample), cropped(image, c.size, c.padding, stream(sample)));
    }
  }
}

TEST_F(TransformsTest, RandomCropReachesEveryPlaceEquallyOften) {
  const auto crop = make("random_crop", options({{"size", int64_t{2}}}));
  std::vector<int> counts(9);
  for (uint64_t sample = 0; sample < 9000; ++sample) {
    const int first = apply(*crop, numbered_image(1, 4, 4), sample).data()[0] - 1;
    ++counts[static_cast<size_t>(first / 10 * 3 + first % 10)];
  }
  for (int count : counts) EXPECT_NEAR(count, 1000, 150);
}

TEST_F(TransformsTest, RandomCropKeepsThePicturesSizeByDefault) {
  const auto crop = make("random_crop", options({{"padding", int64_t{2}}}));
  EXPECT_EQ(crop->output({3, 5, 7}), (Shape{3, 5, 7}));
  const Image image = apply(*crop, numbered_image(1, 5, 7));
  EXPECT_EQ(image.height, 5);
  EXPECT_EQ(image.width, 7);
}

TEST_F(TransformsTest, RandomCropRefusesAPictureTooSmall) {
  const auto crop = make("random_crop", options({{"size", int64_t{8}}, {"padding", int64_t{1}}}));
  expect_error(
      [&] {
        crop->output({1, 5, 9});
      },
      Failure::usage,
      "random_crop: the picture is 5 x 9 with a padding of 1; expected room for a square of 8");
  EXPECT_EQ(crop->output({3, 0, 0}), (Shape{3, 8, 8}));
  expect_error([&] { apply(*crop, numbered_image(1, 5, 9)); }, Failure::data,
               "the picture is 5 x 9");
}

TEST_F(TransformsTest, HorizontalFlipMirrorsLeftAndRight) {
  const auto flip = make("horizontal_flip", options({{"probability", 1.0}}));
  EXPECT_EQ(flip->output({2, 3, 5}), (Shape{2, 3, 5}));
  const Image image = numbered_image(2, 3, 5), flipped = apply(*flip, image);
  for (int c = 0; c < 2; ++c) {
    for (int y = 0; y < 3; ++y) {
      for (int x = 0; x < 5; ++x) EXPECT_EQ(flipped.row(c, y)[x], image.row(c, y)[4 - x]);
    }
  }
}

TEST_F(TransformsTest, HorizontalFlipFollowsItsProbability) {
  const Image image = numbered_image(1, 1, 4);
  for (double probability : {0.0, 0.25, 0.5, 1.0}) {
    const auto flip = make("horizontal_flip", options({{"probability", probability}}));
    int flips = 0;
    for (uint64_t sample = 0; sample < 4000; ++sample) {
      const bool flipped = apply(*flip, image, sample).data()[0] == 4;
      EXPECT_EQ(flipped, stream(sample).uniform() < probability);
      flips += flipped;
    }
    EXPECT_NEAR(flips, 4000 * probability, 150);
  }
}

TEST_F(TransformsTest, RefuseOptionsOutOfRange) {
  expect_error(
      [&] {
        make("horizontal_flip", options({{"probability", 1.5}}));
      },
      Failure::usage, "here");
  expect_error(
      [&] {
        make("random_crop", options({{"size", int64_t{-1}}}));
      },
      Failure::usage, "here");
  expect_error(
      [&] {
        make("random_crop", options({{"pading", int64_t{1}}}));
      },
      Failure::usage, "padding");
}

}  // namespace
}  // namespace lockstep
