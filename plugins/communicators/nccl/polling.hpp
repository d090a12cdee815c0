// Waiting for other ranks where there is no communication thread to do it: bounded, by looking
// again and again.
#pragma once

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>

#include "base/error.hpp"

namespace lockstep::nccl {

// Until done() is true. After so many seconds throws Error{device} that says what was waited for.
template <class Done>
void poll_until(const Done& done, double timeout_seconds, std::string_view what) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kSleep = std::chrono::microseconds(200);
  constexpr double kMostPerLook = 0.1;  // time in which this process itself stood still
  auto last = Clock::now();
  double waited = 0;
  while (!done()) {
    std::this_thread::sleep_for(kSleep);
    const auto now = Clock::now();
    waited += std::min(std::chrono::duration<double>(now - last).count(), kMostPerLook);
    last = now;
    if (waited <= timeout_seconds) continue;
    fail(Failure::device, "communicator nccl: ", what, " has waited for other ranks for ",
         static_cast<int64_t>(timeout_seconds),
         " s: a rank is stopped or stuck, or a link is dead; start again with --resume, or raise "
         "communicator.timeout_seconds");
  }
}

}  // namespace lockstep::nccl
