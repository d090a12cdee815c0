#include "train/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>

namespace lockstep {
namespace {

TEST(SignalsTest, TheFirstSignalIsRemembered) {
  for (const int number : {SIGUSR1, SIGTERM, SIGINT}) {
    const StopSignals signals;
    EXPECT_EQ(signals.received(), 0);
    raise(number);
    EXPECT_EQ(signals.received(), number);
  }
}

TEST(SignalsTest, TheSecondSignalLeavesAtOnce) {
  const auto raise_twice = [] {
    const StopSignals signals;
    raise(SIGUSR1);
    raise(SIGTERM);
  };
  EXPECT_EXIT(raise_twice(), ::testing::ExitedWithCode(128 + SIGTERM), "");
}

TEST(SignalsTest, FormerHandlersAreBackAfterwards) {
  struct sigaction before {};
  sigaction(SIGUSR1, nullptr, &before);
  { const StopSignals signals; }
  struct sigaction after {};
  sigaction(SIGUSR1, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

}  // namespace
}  // namespace lockstep
