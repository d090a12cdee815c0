#include "train/steps.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(EpochStepsTest, CoverTheEpochInOrderWithASmallerLastStep) {
  const EpochSteps steps{.samples = 10, .global_batch_size = 4};
  ASSERT_EQ(steps.count(), 3);
  EXPECT_EQ(steps.at(0), (Slice{0, 4}));
  EXPECT_EQ(steps.at(1), (Slice{4, 8}));
  EXPECT_EQ(steps.at(2), (Slice{8, 10}));
}

TEST(EpochStepsTest, LeaveOutThePartialStepWhenAsked) {
  EXPECT_EQ((EpochSteps{.samples = 10, .global_batch_size = 4, .drop_last = true}.count()), 2);
  EXPECT_EQ((EpochSteps{.samples = 3, .global_batch_size = 4, .drop_last = true}.count()), 0);
  EXPECT_EQ((EpochSteps{.samples = 3, .global_batch_size = 4}.at(0)), (Slice{0, 3}));
}

TEST(EpochStepsTest, GoOnAfterTheSamplesThatWereConsumed) {
  const EpochSteps steps{.samples = 10, .global_batch_size = 4};
  EXPECT_EQ(steps.after(0), 0);
  EXPECT_EQ(steps.after(4), 1);
  EXPECT_EQ(steps.after(10), 3) << "after the partial step the epoch is complete";
}

TEST(ShardingTest, ShardsOfAllRanksAreTheStepInOrderAndDifferByAtMostOneSample) {
  for (const int ranks : {1, 2, 3, 7}) {
    for (const int64_t per_rank : {1, 2, 3}) {
      for (const Slice step : {Slice{0, 128}, Slice{128, 133}, Slice{7, 8}}) {
        int64_t at = step.begin;
        for (int rank = 0; rank < ranks; ++rank) {
          const Sharding sharding{.rank = rank, .world_size = ranks, .per_rank = per_rank};
          for (int64_t k = 0; k < per_rank; ++k) {
            const Slice shard = sharding.shard(step, k);
            EXPECT_EQ(shard.begin, at);
            EXPECT_GE(shard.size(), step.size() / (ranks * per_rank));
            EXPECT_LE(shard.size(), (step.size() + ranks * per_rank - 1) / (ranks * per_rank));
            at = shard.end;
          }
        }
        EXPECT_EQ(at, step.end);
      }
    }
  }
}

TEST(ShardingTest, DividesTheSameSamplesAmongShardsWhetherTheyAreRanksOrMicroBatches) {
  const Slice step{0, 13};
  for (int64_t i = 0; i < 4; ++i) {
    const Slice of_one_rank = Sharding{.rank = 0, .world_size = 1, .per_rank = 4}.shard(step, i);
    const Slice of_four_ranks =
        Sharding{.rank = static_cast<int>(i), .world_size = 4}.shard(step, 0);
    EXPECT_EQ(of_one_rank, of_four_ranks);
  }
}

}  // namespace
}  // namespace lockstep
