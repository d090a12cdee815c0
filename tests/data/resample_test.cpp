// Resizing and the transforms built on it, against Pillow and torchvision (pictures.tsv).
#include "data/resample.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/pictures.hpp"
#include "plugin/registry.hpp"
#include "support/expect_error.hpp"

namespace lockstep {
namespace {

using testing::crc_of;
using testing::expect_error;
using testing::generated_picture;
using testing::picture_goldens;

Setting number(int64_t value) { return {value, "here"}; }
Setting range(double least, double most) {
  return {Setting::Array{{least, "here"}, {most, "here"}}, "here"};
}
Setting::Table options(std::initializer_list<std::pair<const char*, Setting>> values) {
  Setting::Table table;
  for (const auto& [key, value] : values) table.push_back({key, "", value});
  return table;
}

// Channel 0 holds the column, channel 1 the row.
Image coordinates(int height, int width) {
  Image image;
  image.resize(2, height, width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.row(0, y)[x] = static_cast<uint8_t>(x);
      image.row(1, y)[x] = static_cast<uint8_t>(y);
    }
  }
  return image;
}

Image resized(const Image& image, const Window& window, int height, int width) {
  Image result;
  resample(image, window, height, width, result);
  return result;
}

class ResampleTest : public ::testing::Test {
 protected:
  std::unique_ptr<Transform> make(const char* name, const Setting::Table& settings) {
    return registry.find_transform(name).make(settings);
  }
  std::unique_ptr<Transform> of_size(const char* name, int64_t size) {
    return make(name, options({{"size", number(size)}}));
  }
  static Image apply(const Transform& transform, Image image, uint64_t sample = 0) {
    Image scratch;
    RandomStream random(1, "augment", 1, sample);
    transform.apply(image, scratch, random);
    return image;
  }
  Registry registry;
};

TEST_F(ResampleTest, EqualsPillowBitForBit) {
  const auto goldens = picture_goldens("resample");
  ASSERT_FALSE(goldens.empty());
  for (const auto& golden : goldens) {
    const auto [channels, height, width, top, left, window_height, window_width, to_height,
                to_width] = testing::numbers_in<9>(golden.input);
    const Image result = resized(generated_picture(channels, height, width),
                                 {top, left, window_height, window_width}, to_height, to_width);
    EXPECT_EQ(crc_of(result), golden.result) << golden.input;
  }
}

TEST_F(ResampleTest, ResizeAndCenterCropEqualTorchvision) {
  const auto goldens = picture_goldens("evaluation");
  ASSERT_FALSE(goldens.empty());
  for (const auto& golden : goldens) {
    const auto [height, width, size, crop] = testing::numbers_in<4>(golden.input);
    Image image = apply(*of_size("resize", size), generated_picture(3, height, width));
    image = apply(*of_size("center_crop", crop), std::move(image));
    EXPECT_EQ(crc_of(image), golden.result) << golden.input;
  }
}

TEST_F(ResampleTest, ResizeKeepsTheSidesRatio) {
  const auto resize = of_size("resize", 256);
  EXPECT_EQ(resize->output({3, 375, 500}), (Shape{3, 256, 341}));
  EXPECT_EQ(resize->output({3, 500, 375}), (Shape{3, 341, 256}));
  EXPECT_EQ(resize->output({1, 28, 28}), (Shape{1, 256, 256}));
  EXPECT_EQ(resize->output({3, 0, 0}), (Shape{3, 0, 0})) << "known only when a picture is read";
}

TEST_F(ResampleTest, ResizeRefusesToGrowAPictureWithoutBound) {
  const auto resize = of_size("resize", 1024);
  expect_error([&] { apply(*resize, generated_picture(1, 1, 1000)); }, Failure::data,
               "resize: the picture is 1 x 1000, and 1024 x 1024000");
  expect_error([&] { resize->output({3, 1000, 1}); }, Failure::usage, "1000 x 1");
}

TEST_F(ResampleTest, CropsGiveASquareOfAnyPicture) {
  for (const char* name : {"center_crop", "random_resized_crop"}) {
    const auto crop = of_size(name, 24);
    EXPECT_EQ(crop->output({3, 0, 0}), (Shape{3, 24, 24}));
    for (const auto& [height, width] : {std::pair{1, 1}, {1, 90}, {90, 1}, {24, 24}, {23, 25}}) {
      for (uint64_t sample = 0; sample < 20; ++sample) {
        const Image image = apply(*crop, generated_picture(2, height, width), sample);
        EXPECT_EQ((Shape{image.channels, image.height, image.width}), (Shape{2, 24, 24})) << name;
      }
    }
  }
}

// With two pixels a side the result tells the window: their distance is half of it.
TEST_F(ResampleTest, RandomResizedCropDrawsAreaShapeAndPlace) {
  constexpr int kSide = 200, kSamples = 4000;
  const auto crop = of_size("random_resized_crop", 2);
  double area_sum = 0, wide = 0, left_most = kSide, right_most = 0;
  for (uint64_t sample = 0; sample < kSamples; ++sample) {
    const Image image = apply(*crop, coordinates(kSide, kSide), sample);
    const double left = image.row(0, 0)[0], right = image.row(0, 0)[1];
    const double width = 2 * (right - left), height = 2 * (image.row(1, 1)[0] - image.row(1, 0)[0]);
    // A pixel's value is rounded, and the triangles at the window's borders are cut off.
    EXPECT_GT(width / height, 0.75 * 0.9) << sample;
    EXPECT_LT(width / height, 1.34 * 1.1) << sample;
    area_sum += width * height / (kSide * kSide);
    wide += width > height;
    left_most = std::min(left, left_most);
    right_most = std::max(right, right_most);
  }
  EXPECT_NEAR(wide / kSamples, 0.5, 0.05);
  // The mean of areas in [0.08, 1], less for those whose sides did not fit; the window's two pixels
  // lie a bit nearer than half of it.
  EXPECT_GT(area_sum / kSamples, 0.3);
  EXPECT_LT(area_sum / kSamples, 0.54);
  EXPECT_LT(left_most, 25);
  EXPECT_GT(right_most, kSide - 25);
}

TEST_F(ResampleTest, RandomResizedCropTakesTheMiddleWhereNoWindowFits) {
  const Image tall = generated_picture(3, 40, 10), wide = generated_picture(3, 10, 40);
  const auto whole =
      make("random_resized_crop",
           options({{"size", number(7)}, {"scale", range(1, 1)}, {"ratio", range(0.5, 2)}}));
  EXPECT_EQ(crc_of(apply(*whole, tall)), crc_of(resized(tall, {10, 0, 20, 10}, 7, 7)));
  EXPECT_EQ(crc_of(apply(*whole, wide)), crc_of(resized(wide, {0, 10, 10, 20}, 7, 7)));
}

TEST_F(ResampleTest, RandomResizedCropDependsOnItsStreamAlone) {
  const auto crop = of_size("random_resized_crop", 16);
  const Image image = generated_picture(3, 37, 29);
  EXPECT_EQ(crc_of(apply(*crop, image, 5)), crc_of(apply(*crop, image, 5)));
  EXPECT_NE(crc_of(apply(*crop, image, 5)), crc_of(apply(*crop, image, 6)));
}

TEST_F(ResampleTest, TransformsRefuseOptionsOutOfRange) {
  for (const char* name : {"resize", "center_crop", "random_resized_crop"})
    expect_error([&] { of_size(name, 0); }, Failure::usage, "here");
  expect_error(
      [&] {
        make("random_resized_crop", options({{"scale", range(0.5, 0.1)}}));
      },
      Failure::usage, "smaller number first");
  expect_error(
      [&] {
        make("random_resized_crop", options({{"ratio", range(0, 1)}}));
      },
      Failure::usage, "here");
}

}  // namespace
}  // namespace lockstep
