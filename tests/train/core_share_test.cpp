#include "train/core_share.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(CoreShareTest, CountsTheCoresOfLinuxsLists) {
  EXPECT_EQ(count_cores("0"), 1);
  EXPECT_EQ(count_cores("0-3"), 4);
  EXPECT_EQ(count_cores("0-3,8,10-11"), 7);
  EXPECT_EQ(count_cores(""), 0);
  EXPECT_EQ(count_cores("nonsense,5"), 1);
}

TEST(CoreShareTest, RanksOnTheSameCoresDivideThemWithoutRest) {
  for (const int ranks : {1, 2, 3, 5}) {
    int sum = 0;
    for (int rank = 0; rank < ranks; ++rank) sum += share_of_cores(16, rank, ranks);
    EXPECT_EQ(sum, 16);
  }
  EXPECT_EQ(share_of_cores(2, 6, 8), 1) << "more ranks than cores";
}

}  // namespace
}  // namespace lockstep
