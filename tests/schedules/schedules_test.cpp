#include <gtest/gtest.h>

#include "plugin/registry.hpp"

namespace lockstep::testing {
namespace {

// The rate of a schedule with peak 1 at each of these epochs of 90.
std::vector<double> rates(std::string_view name, const ScheduleSettings& settings,
                          const std::vector<double>& epochs, const Setting::Table& options = {}) {
  static Registry registry;
  const ScheduleFunction schedule = registry.find_schedule(name).make(options);
  std::vector<double> rates;
  for (double epoch : epochs) rates.push_back(schedule({1.0, epoch, 90.0, settings}));
  return rates;
}

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-12) << i;
}

TEST(ScheduleTest, ConstantStays) { expect_near(rates("constant", {}, {0, 45, 90}), {1, 1, 1}); }

TEST(ScheduleTest, StepFallsAtTheFirstStepOfAnEpoch) {
  expect_near(
      rates("step", {.step_epochs = 30, .milestones = {}}, {0, 29.999, 30, 59.999, 60, 30 - 1e-12}),
      {1, 1, 0.1, 0.1, 0.01, 0.1});
}

TEST(ScheduleTest, MultiStepFallsAfterEachMilestone) {
  const ScheduleSettings settings{.milestones = {10, 20, 20.5}, .gamma = 0.5};
  expect_near(rates("multi_step", settings, {0, 9.99, 10, 20, 21}), {1, 1, 0.5, 0.25, 0.125});
}

TEST(ScheduleTest, CosineBeginsAfterWarmUpAndEndsAtTheFinalRate) {
  const ScheduleSettings settings{.warmup_epochs = 10, .milestones = {}, .final_lr = 0.2};
  expect_near(rates("cosine", settings, {10, 50, 90, 95}), {1, 0.6, 0.2, 0.2});
  expect_near(rates("cosine", {}, {0, 30, 90}), {1, 0.75, 0});
}

TEST(ScheduleTest, TheRateStaysAtThePeakWhereWarmUpIsAllThereIs) {
  expect_near(rates("cosine", {.warmup_epochs = 90, .milestones = {}}, {0, 90, 91}), {1, 1, 1});
  expect_near(rates("polynomial", {.warmup_epochs = 90, .milestones = {}}, {0, 90, 91}), {1, 1, 1});
  expect_near(rates("one_cycle", {.warmup_epochs = 90, .milestones = {}}, {0, 90, 91}), {1, 1, 1});
}

TEST(ScheduleTest, PolynomialIsAPowerOfWhatIsLeftAfterWarmUp) {
  const ScheduleSettings settings{.warmup_epochs = 10, .milestones = {}, .final_lr = 0.2};
  expect_near(rates("polynomial", settings, {10, 50, 90, 95}), {1, 0.4, 0.2, 0.2});
  const Setting::Table straight{{"power", "test", {1.0, "test"}}};
  expect_near(rates("polynomial", {}, {0, 30, 90}, straight), {1, 2.0 / 3, 0});
}

TEST(ScheduleTest, OneCycleRisesToThePeakAndFalls) {
  expect_near(rates("one_cycle", {}, {0, 27, 58.5, 90}), {0.04, 1, 0.5, 0});
  expect_near(rates("one_cycle", {}, {13.5}), {(0.04 + 1) / 2});
  const Setting::Table options{{"pct_start", "test", {0.0, "test"}}};
  expect_near(rates("one_cycle", {.milestones = {}, .final_lr = 0.5}, {0, 90}, options), {1, 0.5});
  const Setting::Table all_up{{"pct_start", "test", {1.0, "test"}}};
  expect_near(rates("one_cycle", {}, {0, 90}, all_up), {0.04, 1});
}

}  // namespace
}  // namespace lockstep::testing
