// LABELS: threads
// The trainer itself on a device that is as asynchronous as one may be: loader, evaluation,
// checkpoints and all, with the quickstart's model and data.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/simulated_device.hpp"
#include "support/simulated_ranks.hpp"
#include "support/temporary_folder.hpp"
#include "train/metrics_files.hpp"
#include "train/trainer.hpp"

namespace lockstep {
namespace {

using testing::SimulatedDevice;
using testing::SimulatedRanks;

struct Outcome {
  std::vector<Record> records;  // of steps and evaluations
  std::vector<std::string> violations;
  int64_t replays = 0;
};

// The quickstart on one rank of `ranks`, which are threads.
void train_rank(SimulatedRanks& ranks, int rank, const std::string& device_name,
                std::vector<std::string> sets, const std::filesystem::path& output,
                StopSignals& signals, Outcome& outcome) {
  Registry registry;
  SimulatedDevice* simulated = nullptr;
  const DeviceEntry& reference = registry.find_device("reference");
  registry.device("simulated", [&](const DeviceOptions& options) {
    auto made = std::make_unique<SimulatedDevice>(
        reference.make(options),
        testing::SimulatedOptions{.seed = 5 + static_cast<uint64_t>(rank)});
    simulated = made.get();
    return made;
  });
  registry.communicator("threads", [&](const CommunicatorOptions&) {
    return ranks.make(rank, device_name == "simulated");
  });
  sets.push_back("device.name=" + device_name);
  Session session(
      load_recipe(std::string(LOCKSTEP_SOURCE_DIR) + "/recipes/quickstart.toml", sets, registry),
      registry, true);
  session.open(DataUse::train);
  Trainer trainer(session, {.run = {.recipe = "quickstart.toml", .output = output}, .quiet = true},
                  signals);
  EXPECT_EQ(trainer.run(), 0);
  if (simulated == nullptr) return;
  outcome.violations = simulated->violations();
  outcome.replays = simulated->replays();
}

Outcome train(const std::string& device, const std::vector<std::string>& sets = {}, int ranks = 1) {
  const test::TemporaryFolder folder;
  std::vector<std::string> all{"train.max_steps=20",       "train.gradient_accumulation=2",
                               "train.clip_grad_norm=5",   "data.test_size=10",
                               "checkpoint.every_steps=7", "communicator.bucket_mib=0.1",
                               "communicator.name=threads"};
  all.push_back(concat("train.global_batch_size=", 2 * ranks));
  all.push_back(concat("data.train_size=", 30 * ranks));
  all.insert(all.end(), sets.begin(), sets.end());
  Outcome outcome;
  StopSignals signals;
  SimulatedRanks threads(ranks);
  threads.run(
      [&](int rank) { train_rank(threads, rank, device, all, folder / "run", signals, outcome); });
  std::ifstream file(folder / "run" / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    const Record record = record_from_json(line);
    if (record.loss) outcome.records.push_back(record);
  }
  return outcome;
}

void expect_losses_of_reference(int64_t steps, std::vector<std::string> sets, int ranks) {
  sets.push_back(concat("train.max_steps=", steps));
  const Outcome expected = train("reference", sets, ranks);
  ASSERT_GE(expected.records.size(), static_cast<size_t>(steps));
  const Outcome simulated = train("simulated", sets, ranks);
  EXPECT_GT(simulated.replays, 0);
  ASSERT_EQ(simulated.records.size(), expected.records.size());
  for (size_t i = 0; i < expected.records.size(); ++i) {
    EXPECT_EQ(simulated.records[i].loss, expected.records[i].loss) << "record " << i;
    EXPECT_EQ(simulated.records[i].top1, expected.records[i].top1) << "record " << i;
  }
}

TEST(SimulatedDeviceTest, TrainsTheQuickstartsModelWithTheLossesOfReference) {
  expect_losses_of_reference(20, {}, 1);
}

TEST(SimulatedDeviceTest, SoDoTwoRanksWithSumsInStreamOrder) {
  expect_losses_of_reference(8, {"train.sync_batch_norm=true"}, 2);
}

TEST(SimulatedDeviceTest, WithoutCaptureAndInAProfileNothingIsRecorded) {
  EXPECT_GT(train("simulated", {"train.max_steps=3"}).replays, 0);
  EXPECT_EQ(train("simulated", {"train.max_steps=3", "device.capture=false"}).replays, 0);
  EXPECT_EQ(train("simulated", {"train.max_steps=3", "train.profile=true"}).replays, 0);
}

}  // namespace
}  // namespace lockstep
