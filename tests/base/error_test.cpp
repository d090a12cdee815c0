#include "base/error.hpp"

#include <gtest/gtest.h>

#include "base/shape.hpp"

namespace lockstep {
namespace {

TEST(ErrorTest, JoinsItsPartsAndKnowsItsExitCode) {
  try {
    fail(Failure::data, "train.idx: found ", 3, " images of ", Shape{1, 28, 28}, "; expected ",
         true);
    FAIL() << "fail() returned";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "train.idx: found 3 images of (1, 28, 28); expected true");
    EXPECT_EQ(error.exit_code(), 3);
  }
}

TEST(ErrorTest, TakesContextOnItsWayOut) {
  Error error(Failure::device, "out of memory");
  error.add_context("conv1").add_context("rank 2");
  EXPECT_STREQ(error.what(), "rank 2: conv1: out of memory");
}

TEST(ErrorDeathTest, AnAssertionNamesItselfAndAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(LS_ASSERT(1 + 1 == 3), "error_test.cpp:.*1 \\+ 1 == 3");
}

}  // namespace
}  // namespace lockstep
