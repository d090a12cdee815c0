#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "data/loader.hpp"

namespace lockstep {
namespace {

TEST(SamplerTest, KeepsFileOrderWithoutShuffling) {
  std::vector<int64_t> expected(100);
  std::iota(expected.begin(), expected.end(), int64_t{0});
  EXPECT_EQ(sample_order(100, false, 7, 3), expected);
}

TEST(SamplerTest, ShufflesEverySampleExactlyOnce) {
  std::vector<int64_t> order = sample_order(1000, true, 7, 1);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, sample_order(1000, false, 7, 1));
}

TEST(SamplerTest, IsAFunctionOfSeedAndEpoch) {
  EXPECT_EQ(sample_order(1000, true, 7, 2), sample_order(1000, true, 7, 2));
  EXPECT_NE(sample_order(1000, true, 7, 2), sample_order(1000, true, 7, 3));
  EXPECT_NE(sample_order(1000, true, 7, 2), sample_order(1000, true, 8, 2));
}

// A checkpoint holds (epoch, samples consumed) alone: the order must stay the same from version to
// version.
TEST(SamplerTest, StaysTheSameFromVersionToVersion) {
  EXPECT_EQ(sample_order(10, true, 1, 1), (std::vector<int64_t>{0, 7, 6, 2, 9, 8, 3, 4, 1, 5}));
}

TEST(SamplerTest, OrdersZeroAndOneSample) {
  EXPECT_TRUE(sample_order(0, true, 1, 1).empty());
  EXPECT_EQ(sample_order(1, true, 1, 1), std::vector<int64_t>{0});
}

}  // namespace
}  // namespace lockstep
