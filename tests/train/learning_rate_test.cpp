#include "train/learning_rate.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace lockstep {
namespace {

// A schedule whose result shows what it was asked.
double progress(const ScheduleArguments& a) { return a.lr + a.epoch; }

TEST(LearningRateTest, WarmsUpLinearlyToThePeakAndThenFollowsTheSchedule) {
  const LearningRate rate(2.0, {.warmup_epochs = 0.5, .milestones = {}}, progress, 8, 10);
  ASSERT_EQ(rate.warmup_steps(), 4);
  EXPECT_DOUBLE_EQ(rate.at(0), 0.5);
  EXPECT_DOUBLE_EQ(rate.at(1), 1.0);
  EXPECT_DOUBLE_EQ(rate.at(3), 2.0);
  EXPECT_DOUBLE_EQ(rate.at(4), 2.5) << "half an epoch has passed";
  EXPECT_DOUBLE_EQ(rate.at(16), 4.0);
}

TEST(LearningRateTest, AsksTheScheduleFromTheFirstStepWithoutWarmUp) {
  const LearningRate rate(2.0, {.milestones = {}}, progress, 8, 10);
  EXPECT_DOUBLE_EQ(rate.at(0), 2.0);
}

TEST(LearningRateTest, TellsTheScheduleTheLengthOfTheTraining) {
  const auto length = [](const ScheduleArguments& a) { return a.epochs; };
  EXPECT_EQ(LearningRate(1, {.milestones = {}}, length, 8, 10).at(3), 10);
  const double endless = std::numeric_limits<double>::infinity();
  EXPECT_EQ(LearningRate(1, {.milestones = {}}, length, 8, endless).at(3), endless);
}

TEST(LearningRateTest, GrowsWithTheGlobalBatchWhereAReferenceIsGiven) {
  EXPECT_DOUBLE_EQ(scaled_lr(0.1, 0, 1024), 0.1);
  EXPECT_DOUBLE_EQ(scaled_lr(0.1, 256, 1024), 0.4);
  EXPECT_DOUBLE_EQ(scaled_lr(0.1, 256, 128), 0.05);
}

}  // namespace
}  // namespace lockstep
