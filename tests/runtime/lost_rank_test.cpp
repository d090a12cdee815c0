// LABELS: threads fault
// With collectives in stream order it is the device that waits for other ranks; a rank that is lost
// must end the others all the same, wherever in a step the host then waits for the device.
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/simulated_training.hpp"

namespace lockstep::testing {
namespace {

using ::testing::ExitedWithCode;

// Two steps of rank 0, of which rank 1 takes part in the first alone.
void lose_a_rank(SimulatedTraining training) {
  training.timeout_seconds = 1;
  SimulatedRanks ranks(training.ranks);
  const DeviceEntry& reference = detail::simulated_registry().find_device("reference");
  ranks.run([&](int rank) {
    auto device = std::make_unique<SimulatedDevice>(
        reference.make({}), SimulatedOptions{.seed = static_cast<uint64_t>(rank)});
    detail::SimulatedRank self(training, ranks, rank, std::move(device));
    self.step(0);
    if (rank == 1) pause();
    self.step(1);
  });
}

class LostRankTest : public ::testing::Test {
 protected:
  LostRankTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(LostRankTest, EndsTheOthersThatWaitForTheEndOfTheStep) {
  EXPECT_EXIT(
      lose_a_rank({.shards = 1, .sync_batch_norm = false}), ExitedWithCode(5),
      "^lockstep: rank 0 of 2 on [^ ]*: 'bucket 0 of step 2' has waited for other ranks for "
      "1 s without progress");
}

TEST_F(LostRankTest, EndsThoseThatWaitForTheGradientsNorm) {
  EXPECT_EXIT(lose_a_rank({.shards = 1, .clip_grad_norm = 1, .sync_batch_norm = false}),
              ExitedWithCode(5), "'bucket 0 of step 2' has waited for other ranks");
}

TEST_F(LostRankTest, EndsThoseThatWaitForAnUploadBehindASumInTheGraph) {
  EXPECT_EXIT(lose_a_rank({.shards = 3}), ExitedWithCode(5),
              "'bn1[^']*' has waited for other ranks");
}

TEST_F(LostRankTest, EndsThoseThatTimeEveryLaunch) {
  EXPECT_EXIT(lose_a_rank({.profile = true}), ExitedWithCode(5),
              "'bn1[^']*' has waited for other ranks");
}

}  // namespace
}  // namespace lockstep::testing
