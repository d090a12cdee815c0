#include "data/imagenet_classes.hpp"

#include <set>

#include "data/pictures.hpp"
#include "data/support.hpp"

namespace lockstep {
namespace {

TEST(ImagenetClassesTest, HaveTorchvisionsNamesInItsOrder) {
  ASSERT_EQ(imagenet_class_names().size(), 1000u);
  EXPECT_EQ(imagenet_class_names()[0], "tench");
  EXPECT_EQ(imagenet_class_names()[999], "toilet tissue");
  std::string text;
  for (const std::string_view name : imagenet_class_names()) text += concat(name, "\n");
  Image bytes;
  bytes.resize(1, 1, static_cast<int>(text.size()));
  std::copy(text.begin(), text.end(), bytes.data());
  const auto goldens = testing::picture_goldens("imagenet_classes");
  ASSERT_EQ(goldens.size(), 1u);
  EXPECT_EQ(testing::crc_of(bytes), goldens[0].result);
}

TEST(ImagenetClassesTest, AreFoundByWordnetsNumber) {
  const std::set<std::string_view> different(imagenet_wnids().begin(), imagenet_wnids().end());
  EXPECT_EQ(different.size(), 1000u);
  EXPECT_EQ(imagenet_name_of("n01443537"), "goldfish");
  EXPECT_EQ(imagenet_name_of("n15075141"), "toilet tissue");
  EXPECT_EQ(imagenet_name_of("n00000000"), "");
  EXPECT_EQ(imagenet_name_of("zebra"), "");
}

TEST(ImagenetClassesTest, EqualThoseOfTheSample) {
  const std::string root = testing::real_data("imagenet_sample");
  if (root.empty()) GTEST_SKIP() << "LOCKSTEP_DATA/imagenet_sample is not there";
  std::ifstream file(root + "/imagenet_classes.tsv");
  size_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    ASSERT_LT(count, 1000u);
    EXPECT_EQ(line,
              concat(count, "\t", imagenet_wnids()[count], "\t", imagenet_class_names()[count]));
  }
  EXPECT_EQ(count, 1000u);
}

}  // namespace
}  // namespace lockstep
