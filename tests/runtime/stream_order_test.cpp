// LABELS: threads
// What the framework asks of an asynchronous device is enough, and nothing of it is too much: on
// simulated devices, whose streams run late and in any order that is allowed, every training gives
// the bits of `reference`, and any wait left out shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "support/simulated_training.hpp"
#include "train/snapshot.hpp"

namespace lockstep::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Texts of work(0), …, work(count - 1) that are not empty, in order. Several at once: ranks of a
// training mostly wait for each other.
std::vector<std::string> collect(size_t count, const std::function<std::string(size_t)>& work) {
  std::vector<std::string> texts(count);
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (size_t k = next++; k < count; k = next++) texts[k] = work(k);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::erase_if(texts, [](const std::string& text) { return text.empty(); });
  return texts;
}

// Trains with so many seeds; those that differ from `reference` are named.
void expect_bits_of_reference(const SimulatedTraining& training, uint64_t first, uint64_t seeds) {
  const std::vector<RankResult> expected = train_on_reference(training);
  const auto wrong = collect(seeds, [&](size_t k) -> std::string {
    SimulatedReport report;
    const bool equal = train_simulated(training, first + k, &report) == expected;
    if (!report.violations.empty()) return concat("seed ", first + k, ": ", report.violations[0]);
    return equal ? "" : concat("seed ", first + k, ": other results");
  });
  EXPECT_THAT(wrong, IsEmpty());
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

// In fp16 the host reads the gradients' norm in the middle of a step, and may leave out the update.
TEST(StreamOrderTest, ScaledLossesAndSkippedUpdatesDoSoToo) {
  const SimulatedTraining training{
      .step_samples = {7, 7, 7}, .precision = DType::f16, .loss_scales = {1024, 1e9, 2048}};
  for (const RankResult& rank : train_on_reference(training)) {
    EXPECT_THAT(rank.skipped, ElementsAre(false, true, false));
  }
  expect_bits_of_reference(training, 2700, 50);
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

// A plan's memory is filled with zeros where launches run, and batches come on another stream.
TEST(StreamOrderTest, AnEvaluationAloneDoesSoToo) {
  const SimulatedTraining training{.ranks = 1};
  const auto evaluate = [&](std::unique_ptr<Device> device) {
    SimulatedRanks ranks(1);
    detail::SimulatedRank self(training, ranks, 0, std::move(device));
    const double first = self.evaluate(3), larger = self.evaluate(16);
    return std::pair(first, larger);
  };
  const DeviceEntry& reference = detail::simulated_registry().find_device("reference");
  const auto expected = evaluate(reference.make({}));
  const auto wrong = collect(100, [&](size_t seed) -> std::string {
    const SimulatedOptions options{.seed = seed};
    const auto found = evaluate(std::make_unique<SimulatedDevice>(reference.make({}), options));
    return found == expected ? "" : concat("seed ", seed);
  });
  EXPECT_THAT(wrong, IsEmpty());
}

// The state of rank 0 on all ranks, also where another's has only been allocated.
TEST(StreamOrderTest, TheStateAtTheStartIsThatOfRankZero) {
  const PlanRequest request = detail::simulated_request({});
  Registry& registry = detail::simulated_registry();
  const DeviceEntry& reference = registry.find_device("reference");
  const auto wrong = collect(100, [&](size_t seed) -> std::string {
    SimulatedRanks ranks(2);
    std::vector<std::vector<float>> parameters(2);
    ranks.run([&](int rank) {
      SimulatedDevice device(reference.make({}), {.seed = 2 * seed + static_cast<uint64_t>(rank)});
      CommunicationThread communication([&] { return ranks.make(rank, true); }, 60);
      communication.attach(device);
      const auto supports = [&](std::string_view op, const Attributes& attributes) {
        return device.supports(op, attributes, DType::f32);
      };
      State state(device, layout_parameters(transform_graph(request, registry.ops(), supports)), 0,
                  1, false);
      if (rank == 0) state.initialize({.seed = 3});
      broadcast_state(state, communication);
      parameters[static_cast<size_t>(rank)] =
          state.read(state.parameters, 0, state.layout.parameter_elements);
    });
    const bool zero = parameters[0] == std::vector<float>(parameters[0].size(), 0);
    return parameters[0] == parameters[1] && !zero ? "" : concat("seed ", seed);
  });
  EXPECT_THAT(wrong, IsEmpty());
}

// Whether leaving out the call shows for one of the seeds.
bool is_noticed(const SimulatedTraining& training, const std::vector<RankResult>& expected,
                const OrderCall& call) {
  constexpr uint64_t kSeeds = 100;  // of which ten or so are enough
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimulatedReport report;
    const bool equal = train_simulated(training, seed, &report, call) == expected;
    if (!equal || !report.violations.empty()) return true;
  }
  return false;
}

TEST(StreamOrderTest, EveryWaitOfAStepIsNeeded) {
  // Some buckets, each behind a launch of its own: of two behind one launch the second is nearly
  // always ready when the first is, whether it is waited for or not.
  const SimulatedTraining training{.bucket_bytes = 256};
  const std::vector<RankResult> expected = train_on_reference(training);
  SimulatedReport report;
  train_simulated(training, 0, &report);
  ASSERT_GT(report.calls.size(), 50u);
  // The communicator's own: it says when a collective is done. Who waits for that is here.
  std::erase_if(report.calls, [](const OrderCall& call) {
    return call.kind == OrderCall::record && call.stream == OrderCall::communication;
  });
  const auto needless = collect(report.calls.size(), [&](size_t k) {
    return is_noticed(training, expected, report.calls[k]) ? "" : report.calls[k].text();
  });
  EXPECT_THAT(needless, IsEmpty());
}

}  // namespace
}  // namespace lockstep::testing
