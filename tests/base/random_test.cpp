#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace lockstep {
namespace {

// The known answers of Random123 for philox4x32, ten rounds.
TEST(PhiloxTest, GivesThePublishedAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, ~uint64_t{0}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

std::vector<uint32_t> first_words(RandomStream stream) {
  std::vector<uint32_t> words;
  for (int i = 0; i < 8; ++i) words.push_back(stream.next());
  return words;
}

TEST(RandomStreamTest, DependsOnEveryPartOfItsKeyAndOnNothingElse) {
  const std::vector<RandomStream> streams = {
      {1, "augment"},    {2, "augment"},       {1, "order"},
      {1, "augment", 1}, {1, "augment", 0, 1}, {1, "augment", 0, uint64_t{1} << 32}};
  std::set<std::vector<uint32_t>> seen;
  for (const RandomStream& stream : streams) seen.insert(first_words(stream));
  EXPECT_EQ(seen.size(), streams.size());
  EXPECT_EQ(first_words({1, "augment"}), first_words({1, "augment"}));
}

TEST(RandomStreamTest, NeverChangesFromVersionToVersion) {
  EXPECT_EQ(random_permutation(10, {1, "order", 1}),
            (std::vector<int64_t>{0, 7, 6, 2, 9, 8, 3, 4, 1, 5}));
}

TEST(RandomStreamTest, DrawsEveryNumberBelowABoundAboutEquallyOften) {
  RandomStream stream(7, "test");
  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) ++counts[stream.below(6)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  EXPECT_EQ(stream.below(1), 0u);
  const uint64_t large = (uint64_t{1} << 40) + 5;
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const uint64_t value = stream.below(large);
    ASSERT_LT(value, large);
    sum += static_cast<double>(value) / static_cast<double>(large);
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

TEST(RandomStreamTest, UniformAndNormalHaveTheirMoments) {
  RandomStream stream(3, "test");
  constexpr int kDraws = 100000;
  double uniform = 0, normal = 0, square = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = stream.uniform(-1, 3), n = stream.normal();
    ASSERT_TRUE(u >= -1 && u < 3);
    uniform += u, normal += n, square += n * n;
  }
  EXPECT_NEAR(uniform / kDraws, 1, 0.02);
  EXPECT_NEAR(normal / kDraws, 0, 0.02);
  EXPECT_NEAR(square / kDraws, 1, 0.03);
}

TEST(RandomStreamTest, ManyNormalNumbersHaveTheirMomentsAndTails) {
  std::vector<float> values(100001);
  RandomStream(3, "test").fill_normal(values, 2.0f);
  double sum = 0, square = 0, fourth = 0;
  for (const float v : values) {
    ASSERT_TRUE(std::isfinite(v));
    sum += v, square += std::pow(v, 2), fourth += std::pow(v, 4);
  }
  const auto count = static_cast<double>(values.size());
  EXPECT_NEAR(sum / count, 0, 0.03);
  EXPECT_NEAR(square / count, 4, 0.1);
  EXPECT_NEAR(fourth / count, 48, 3);
}

TEST(RandomStreamTest, AnEmptyIntervalGivesItsEnd) {
  RandomStream stream(3, "test");
  EXPECT_EQ(stream.uniform(2, 2), 2);
}

TEST(RandomPermutationTest, HoldsEachNumberOnce) {
  std::vector<int64_t> order = random_permutation(1000, {1, "order"});
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(order[static_cast<size_t>(i)], i);
  EXPECT_TRUE(random_permutation(0, {1, "order"}).empty());
}

}  // namespace
}  // namespace lockstep
