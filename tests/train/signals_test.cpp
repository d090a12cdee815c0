#include "train/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

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

TEST(SignalsTest, KnowsHowLongAgoTheSignalCame) {
  const StopSignals signals;
  EXPECT_EQ(signals.seconds_since(), 0);
  raise(SIGUSR1);
  const double first = signals.seconds_since();
  EXPECT_GE(first, 0);
  EXPECT_GE(signals.seconds_since(), first);
}

TEST(SignalsTest, TheSecondSignalLeavesAtOnce) {
  const auto raise_twice = [] {
    const StopSignals signals;
    raise(SIGUSR1);
    raise(SIGTERM);
  };
  EXPECT_EXIT(raise_twice(), ::testing::ExitedWithCode(128 + SIGTERM), "");
}

TEST(SignalsTest, TheSameSignalTwiceInAMomentIsOneRequestAndLaterASecondOne) {
  const auto raise_thrice = [] {
    const StopSignals signals;
    raise(SIGTERM);
    raise(SIGTERM);
    std::fputs("still here", stderr);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    raise(SIGTERM);
  };
  EXPECT_EXIT(raise_thrice(), ::testing::ExitedWithCode(128 + SIGTERM), "still here");
}

TEST(SignalsTest, AfterTheSaveNoSignalChangesTheExitCode) {
  const auto leave = [] {
    {
      StopSignals signals;
      raise(SIGUSR1);
      signals.ignore_the_rest();
      raise(SIGTERM);
    }
    raise(SIGTERM);
    std::exit(75);
  };
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(75), "");
}

TEST(SignalsTest, WhoeverReadsTheOutputMayGo) {
  const auto write_to_nobody = [] {
    const StopSignals signals;
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) std::exit(2);
    close(ends[0]);
    std::exit(write(ends[1], "x", 1) == -1 ? 0 : 1);
  };
  EXPECT_EXIT(write_to_nobody(), ::testing::ExitedWithCode(0), "");
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
