// LABELS: threads
// What the framework asks of an asynchronous device is enough, and nothing of it is too much: on
// simulated devices, whose streams run late and in any order that is allowed, every training gives
// the bits of `reference`, and any wait left out shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/simulated_training.hpp"

namespace lockstep::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Trains with so many seeds; the first that differs from `reference` is named.
void expect_bits_of_reference(const SimulatedTraining& training, uint64_t first, uint64_t seeds) {
  const std::vector<RankResult> expected = train_on_reference(training);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    SimulatedReport report;
    const bool equal = train_simulated(training, seed, &report) == expected;
    ASSERT_TRUE(equal) << "seed " << seed;
    ASSERT_THAT(report.violations, IsEmpty()) << "seed " << seed;
  }
}

TEST(StreamOrderTest, ShardsBucketsAndSyncBatchNormGiveTheBitsOfReferenceInEveryOrder) {
  expect_bits_of_reference({}, 0, 500);
}

TEST(StreamOrderTest, StepsOfFewSamplesDoSoToo) {
  // Four shards of two ranks: one sample, none on rank 0, all but one.
  expect_bits_of_reference({.step_samples = {3, 1, 5, 2}}, 1000, 50);
}

TEST(StreamOrderTest, OneBucketClippingAndThreeRanksDoSoToo) {
  expect_bits_of_reference({.step_samples = {9, 9}, .bucket_bytes = 1 << 20}, 2000, 25);
  expect_bits_of_reference({.shards = 1, .clip_grad_norm = 0.1}, 2100, 25);
  expect_bits_of_reference({.ranks = 3, .shards = 3}, 2200, 25);
}

TEST(StreamOrderTest, CompressedGradientsDoSoToo) {
  expect_bits_of_reference({.travel_type = DType::bf16}, 2500, 25);
  expect_bits_of_reference({.bucket_bytes = 1 << 20, .travel_type = DType::bf16}, 2600, 25);
}

TEST(StreamOrderTest, OneRankAloneDoesSoToo) {
  expect_bits_of_reference({.ranks = 1, .shards = 3}, 3000, 50);
}

TEST(StreamOrderTest, RecordedSegmentsDoSoToo) {
  SimulatedTraining training{.step_samples = {7, 7, 7, 5, 7}};
  expect_bits_of_reference(training, 4000, 50);
  SimulatedReport report;
  train_simulated(training, 0, &report);
  EXPECT_GT(report.replays, 0);
  training.record = false;
  SimulatedReport without;
  train_simulated(training, 0, &without);
  EXPECT_EQ(without.replays, 0);
  expect_bits_of_reference(training, 4100, 10);
}

// Whether leaving out the call shows for one of the seeds.
bool is_noticed(const SimulatedTraining& training, const std::vector<RankResult>& expected,
                const OrderCall& call) {
  constexpr uint64_t kSeeds = 400;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedReport report;
    const bool equal = train_simulated(training, seed, &report, call) == expected;
    if (!equal || !report.violations.empty()) return true;
  }
  return false;
}

// The first upload of a later step need not wait for the launches before, for which the host has
// waited; it does so with the call that the others need.
TEST(StreamOrderTest, EveryWaitOfAStepIsNeeded) {
  // Some buckets, each behind a launch of its own: of two behind one launch the second is nearly
  // always ready when the first is, whether it is waited for or not.
  const SimulatedTraining training{.bucket_bytes = 256};
  const std::vector<RankResult> expected = train_on_reference(training);
  SimulatedReport report;
  train_simulated(training, 0, &report);
  ASSERT_GT(report.calls.size(), 50u);
  std::vector<std::string> needless;
  for (const OrderCall& call : report.calls) {
    // The communicator's own: it says when a collective is done. Who waits for that is here.
    if (call.kind == OrderCall::record && call.stream == OrderCall::communication) continue;
    if (!is_noticed(training, expected, call)) needless.push_back(call.text());
  }
  EXPECT_THAT(needless, ElementsAre(StartsWith("record "), "wait 2 of the copy stream"));
}

}  // namespace
}  // namespace lockstep::testing
