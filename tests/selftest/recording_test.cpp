// LABELS: threads
// The self-test of devices that record launches, on the simulated asynchronous device.
#include <gtest/gtest.h>

#include "selftest/checks.hpp"
#include "support/simulated_device.hpp"

namespace lockstep::testing {
namespace {

SelftestReport check_recording(bool can_record) {
  Registry registry;
  SimulatedDevice device(registry.find_device("cpu").make({.threads = 2}),
                         {.seed = 5, .can_record = can_record});
  const std::unique_ptr<Device> reference = registry.find_device("reference").make({});
  SelftestReport report;
  check_training({registry, device, *reference, true, "recorded"}, report);
  return report;
}

TEST(SelftestRecordingTest, ReplayedStepsGiveTheSameBitsAsLaunchedOnes) {
  const SelftestReport report = check_recording(true);
  ASSERT_EQ(report.rows.size(), 2u);
  EXPECT_TRUE(report.passed()) << report_text(report);
  for (const CheckRow& row : report.rows) {
    EXPECT_EQ(row.outcome, CheckRow::Outcome::pass) << row.name;
    EXPECT_EQ(row.cases, 1) << row.name;
    EXPECT_EQ(row.error, 0) << row.name;
  }
}

TEST(SelftestRecordingTest, ADeviceThatDoesNotRecordIsSaidNotTo) {
  const SelftestReport report = check_recording(false);
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_EQ(report.rows[0].outcome, CheckRow::Outcome::not_supported);
  EXPECT_EQ(report.rows[0].note, "this device does not record");
  EXPECT_TRUE(report.passed());
}

}  // namespace
}  // namespace lockstep::testing
