#include "train/metrics_files.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>

#include "support/temporary_folder.hpp"
#include "train/recorder.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const fs::path& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

Record step_record(int64_t step, int64_t epoch) {
  return {.event = Record::step,
          .epoch_number = epoch,
          .step_number = step,
          .loss = 1.0 / static_cast<double>(step)};
}

TEST(MetricsTest, FloatsReadBackExactly) {
  for (const double value :
       {0.1, 1.0 / 3.0, 2.302585092994046, std::numeric_limits<double>::denorm_min(), 1e300, 7.0}) {
    Record record = step_record(3, 1);
    record.loss = value;
    EXPECT_EQ(record_from_json(to_json(record)), record);
    EXPECT_EQ(std::strtod(to_csv(record).c_str() + std::string("step,1,3,").size(), nullptr),
              value);
  }
}

TEST(MetricsTest, WriteTheFieldsThatApplyAndNoOthers) {
  EXPECT_EQ(
      to_json({.event = Record::evaluation,
               .epoch_number = 2,
               .step_number = 40,
               .loss = 0.5,
               .top1 = 0.75,
               .samples = 100,
               .split = "test"}),
      R"({"event":"evaluation","epoch":2,"step":40,"loss":0.5,"top1":0.75,"samples":100,"split":"test"})");
}

TEST(MetricsTest, RowsHaveTheColumnsOfTheHeader) {
  const auto commas = [](const std::string& text) {
    return std::count(text.begin(), text.end(), ',');
  };
  EXPECT_EQ(commas(csv_header()), commas(to_csv(step_record(1, 1))));
  EXPECT_EQ(csv_header().substr(0, 21), "event,epoch,step,loss");
}

TEST(MetricsTest, LinesPastTheCheckpointAreCutFromBothFiles) {
  const test::TemporaryFolder folder;
  {
    MetricsFiles files(folder.path());
    for (int64_t step = 1; step <= 4; ++step) files.on_step(step_record(step, 1), {}, true);
    files.on_epoch({.event = Record::epoch, .epoch_number = 1, .step_number = 4}, {});
    files.on_evaluation({.event = Record::evaluation, .epoch_number = 1, .step_number = 4});
    files.on_step(step_record(5, 2), {}, true);
    files.on_step(step_record(6, 2), {}, true);
  }
  const std::vector<Record> kept = cut_metrics(folder.path(), 5, 2);
  EXPECT_EQ(kept.size(), 7u);
  EXPECT_EQ(kept.back(), step_record(5, 2));
  EXPECT_EQ(lines_of(folder / "metrics.jsonl").size(), 7u);
  EXPECT_EQ(lines_of(folder / "metrics.csv").size(), 8u);

  // Saved after the epoch's last step, before its line: the line will be written again.
  EXPECT_EQ(cut_metrics(folder.path(), 4, 1).size(), 5u);
}

TEST(MetricsTest, ALineTornByACrashIsDropped) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "metrics.jsonl") << to_json(step_record(1, 1)) << "\n"
                                          << R"({"event":"step","epo)";
  EXPECT_EQ(cut_metrics(folder.path(), 9, 1).size(), 1u);
  EXPECT_EQ(lines_of(folder / "metrics.jsonl").size(), 1u);
}

TEST(MetricsTest, FilesThatGoOnKeepOneHeader) {
  const test::TemporaryFolder folder;
  for (int64_t step = 1; step <= 3; ++step)
    MetricsFiles(folder.path()).on_step(step_record(step, 1), {}, true);
  EXPECT_EQ(lines_of(folder / "metrics.csv").size(), 4u);
}

TEST(MetricsTest, StepsAreLoggedAsOftenAsAsked) {
  const test::TemporaryFolder folder;
  MetricsFiles files(folder.path());
  files.on_step(step_record(1, 1), {}, false);
  files.on_step(step_record(2, 1), {}, true);
  EXPECT_EQ(lines_of(folder / "metrics.jsonl").size(), 1u);
}

TEST(EpochMeanTest, WeighsStepsByTheirSamples) {
  EpochMean mean;
  mean.begin(3);
  mean.add({.loss = 1.0, .top1 = 0.5, .samples = 30, .seconds = 2.0});
  mean.add({.loss = 5.0, .top1 = 1.0, .samples = 10, .seconds = 2.0});
  const Record record = mean.result();
  EXPECT_EQ(record.event, Record::epoch);
  EXPECT_EQ(record.epoch_number, 3);
  EXPECT_DOUBLE_EQ(*record.loss, 2.0);
  EXPECT_DOUBLE_EQ(*record.top1, 0.625);
  EXPECT_EQ(*record.samples, 40);
  EXPECT_DOUBLE_EQ(*record.images_per_second, 10.0);
  EXPECT_FALSE(record.top5.has_value());
}

TEST(RecorderTest, ResumedEpochCountsTheStepsThatWereWrittenBefore) {
  const test::TemporaryFolder folder;
  const Place place{.epochs = 1, .step_in_epoch = 1, .steps_in_epoch = 3};
  const auto run_steps = [&](int64_t after, int64_t last, bool complete) {
    Recorder recorder(folder.path(), true, after, 1);
    recorder.begin_epoch(1);
    for (int64_t step = after + 1; step <= last; ++step) {
      Record record = step_record(step, 1);
      record.samples = 8;
      recorder.step(record, place, true);
    }
    if (complete) recorder.end_epoch(last, place);
  };
  run_steps(-1, -1, false);
  run_steps(0, 2, false);
  run_steps(1, 3, true);  // resumed from step 1; step 2 is done again
  const std::vector<std::string> lines = lines_of(folder / "metrics.jsonl");
  ASSERT_EQ(lines.size(), 4u);
  const Record epoch = record_from_json(lines.back());
  EXPECT_EQ(epoch.event, Record::epoch);
  EXPECT_EQ(*epoch.samples, 24);
  EXPECT_DOUBLE_EQ(*epoch.loss, (1.0 + 1.0 / 2 + 1.0 / 3) / 3);
}

}  // namespace
}  // namespace lockstep
