#include "base/patterns.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(NamePatternsTest, CoverWhatTheyNameAndAllBelow) {
  const NamePatterns patterns({"layer4", "conv?.weight"});
  EXPECT_TRUE(patterns.covers("layer4"));
  EXPECT_TRUE(patterns.covers("layer4.0.conv1.weight"));
  EXPECT_TRUE(patterns.covers("conv1.weight"));
  EXPECT_FALSE(patterns.covers("layer40.weight"));
  EXPECT_FALSE(patterns.covers("layer3.layer4.weight"));
  EXPECT_FALSE(NamePatterns().covers("layer4"));
}

TEST(NamePatternsTest, TheLastOneThatFitsDecides) {
  const NamePatterns all_but_head({"*", "!fc"});
  EXPECT_TRUE(all_but_head.covers("layer1.0.bn1.bias"));
  EXPECT_FALSE(all_but_head.covers("fc.weight"));
  const NamePatterns again({"*", "!layer4", "layer4.*.bn1"});
  EXPECT_FALSE(again.covers("layer4.0.conv1.weight"));
  EXPECT_TRUE(again.covers("layer4.0.bn1.weight"));
}

TEST(NamePatternsTest, FindsThePatternThatFitsNothing) {
  const NamePatterns patterns({"conv*", "!head"});
  EXPECT_EQ(patterns.find_idle({"conv1.weight", "fc.weight"}), "!head");
  EXPECT_EQ(patterns.find_idle({"conv1.weight", "head.weight"}), "");
}

}  // namespace
}  // namespace lockstep
