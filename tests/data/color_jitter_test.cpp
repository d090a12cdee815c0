// color_jitter: pixels equal to torchvision's for each fixed factor (pictures.tsv), and what is
// drawn.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "data/pictures.hpp"
#include "plugin/registry.hpp"
#include "support/expect_error.hpp"

namespace lockstep {
namespace {

using testing::crc_of;
using testing::expect_error;
using testing::generated_picture;

Setting pair(double least, double most) {
  return {Setting::Array{{least, "here"}, {most, "here"}}, "here"};
}

class ColorJitterTest : public ::testing::Test {
 protected:
  std::unique_ptr<Transform> make(const std::map<std::string, Setting>& settings) {
    Setting::Table table;
    for (const auto& [key, value] : settings) table.push_back({key, "", value});
    return registry.find_transform("color_jitter").make(table);
  }
  static Image apply(const Transform& transform, Image image, uint64_t sample = 0) {
    Image scratch;
    RandomStream random(1, "augment", 1, sample);
    transform.apply(image, scratch, random);
    return image;
  }
  Registry registry;
};

TEST_F(ColorJitterTest, EqualsTorchvisionBitForBit) {
  const auto goldens = testing::picture_goldens("color_jitter");
  ASSERT_FALSE(goldens.empty());
  for (const auto& [input, result] : goldens) {
    std::istringstream words(input);
    int height = 0, width = 0;
    std::string name;
    double factor = 0;
    words >> height >> width >> name >> factor;
    const auto jitter = make({{name, pair(factor, factor)}});
    EXPECT_EQ(crc_of(apply(*jitter, generated_picture(3, height, width))), result) << input;
  }
}

TEST_F(ColorJitterTest, ChangesNothingByDefault) {
  const Image image = generated_picture(3, 7, 9);
  EXPECT_EQ(crc_of(apply(*make({}), image)), crc_of(image));
}

TEST_F(ColorJitterTest, TakesANumberAsTheDistanceFromNoChange) {
  const Image image = generated_picture(3, 7, 9);
  const auto equal = [&](const char* name, double number, double least, double most) {
    const auto a = make({{name, {number, "here"}}}), b = make({{name, pair(least, most)}});
    for (uint64_t sample = 0; sample < 20; ++sample)
      EXPECT_EQ(crc_of(apply(*a, image, sample)), crc_of(apply(*b, image, sample))) << name;
  };
  equal("brightness", 0.4, 0.6, 1.4);
  equal("contrast", 1.5, 0, 2.5);
  equal("saturation", 0.25, 0.75, 1.25);
  equal("hue", 0.1, -0.1, 0.1);
}

// A grey of 100: the factor is the result's hundredth.
TEST_F(ColorJitterTest, DrawsFactorsUniformly) {
  Image grey;
  grey.resize(1, 1, 1);
  grey.data()[0] = 100;
  const auto jitter = make({{"brightness", {0.5, "here"}}});
  constexpr int kSamples = 4000;
  std::array<int, 4> quarters{};
  for (uint64_t sample = 0; sample < kSamples; ++sample) {
    const int value = apply(*jitter, grey, sample).data()[0];
    ASSERT_GE(value, 50);
    ASSERT_LE(value, 150);
    ++quarters[static_cast<size_t>(std::min((value - 50) / 25, 3))];
  }
  for (int count : quarters) EXPECT_NEAR(count, kSamples / 4, 130);
}

// Brighter and then less contrast is another picture than the other way round.
TEST_F(ColorJitterTest, DrawsTheOrder) {
  const Image image = generated_picture(3, 7, 9);
  const auto bright = make({{"brightness", pair(2, 2)}});
  const auto flat = make({{"contrast", pair(0.5, 0.5)}});
  const std::string first = crc_of(apply(*flat, apply(*bright, image)));
  const std::string second = crc_of(apply(*bright, apply(*flat, image)));
  ASSERT_NE(first, second);
  const auto both = make({{"brightness", pair(2, 2)}, {"contrast", pair(0.5, 0.5)}});
  std::map<std::string, int> found;
  for (uint64_t sample = 0; sample < 1000; ++sample) ++found[crc_of(apply(*both, image, sample))];
  EXPECT_EQ(found.size(), 2u);
  EXPECT_NEAR(found[first], 500, 80);
  EXPECT_NEAR(found[second], 500, 80);
}

TEST_F(ColorJitterTest, LeavesTheColoursOfGreyPictures) {
  const Image grey = generated_picture(1, 7, 9);
  const auto jitter = make({{"saturation", pair(3, 3)}, {"hue", pair(0.3, 0.3)}});
  EXPECT_EQ(crc_of(apply(*jitter, grey)), crc_of(grey));
  EXPECT_EQ(jitter->output({1, 0, 0}), (Shape{1, 0, 0}));
  EXPECT_EQ(jitter->output({3, 5, 7}), (Shape{3, 5, 7}));
  expect_error([&] { jitter->output({4, 5, 7}); }, Failure::usage, "4 channels; expected 1 or 3");
}

TEST_F(ColorJitterTest, RefusesWhatTorchvisionRefuses) {
  const auto refuses = [this](const char* name, const Setting& value, const char* text) {
    expect_error([&] { make({{name, value}}); }, Failure::usage, text);
  };
  refuses("brightness", {-0.1, "here"}, "brightness is -0.1; expected a number of at least 0");
  refuses("contrast", pair(1.2, 0.8), "contrast is [1.2, 0.8]; expected");
  refuses("saturation", pair(-1, 1), "two in ascending order");
  refuses("hue", {0.6, "here"}, "hue is 0.6; expected a number between 0 and 0.5");
  refuses("hue", pair(-0.6, 0.1), "two between -0.5 and 0.5");
  refuses("hue", {std::string("much"), "here"}, "here");
  refuses("hue", {Setting::Array{{0.1, "here"}}, "here"}, "here");
}

}  // namespace
}  // namespace lockstep
