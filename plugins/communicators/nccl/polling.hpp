// Waiting for other ranks inside of one call, in which the communication thread cannot watch:
// bounded, by looking again and again, with an ear for their roll calls.
#pragma once

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>

#include "base/error.hpp"
#include "device/communicator.hpp"
#include "runtime/roll_call.hpp"

namespace lockstep::nccl {

class Polling {
 public:
  Polling(Communicator& host, double timeout_seconds)
      : host_(host), timeout_seconds_(timeout_seconds) {}

  // One more collective has started. What is waited for here counts as the next one: a rank that
  // asks hears that this one has come so far.
  void count_started() { ++started_; }

  // Until done() is true. After the timeout throws Error{device} that says what was waited for and
  // which ranks are silent.
  template <class Done>
  void until(const Done& done, std::string_view what) const {
    using Clock = std::chrono::steady_clock;
    constexpr double kMostPerLook = 0.1;  // time in which this process itself stood still
    auto last = Clock::now();
    double waited = 0, listened = 0;
    while (!done()) {
      rest(waited);
      const auto now = Clock::now();
      waited += std::min(std::chrono::duration<double>(now - last).count(), kMostPerLook);
      last = now;
      if (waited - listened > kListenSeconds) {
        listened = waited;
        host_.answer_roll_call(started_ + 1);
      }
      if (waited > timeout_seconds_) fail_after_roll_call(what);
    }
  }
  void finish(const std::unique_ptr<Pending>& pending, std::string_view what) const {
    until([&] { return pending->test(); }, what);
  }

 private:
  static constexpr double kListenSeconds = 0.05;

  // What NCCL does for a collective takes some 50 us, joining takes seconds.
  static void rest(double waited) {
    if (waited < 100e-6) return std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(waited < 5e-3 ? 20 : 200));
  }

  [[noreturn]] void fail_after_roll_call(std::string_view what) const {
    constexpr double kRollCallSeconds = 2;
    const std::vector<Presence> ranks = host_.call_roll(started_ + 1, kRollCallSeconds);
    fail(Failure::device, "communicator nccl: ", what, " has waited for other ranks for ",
         static_cast<int64_t>(timeout_seconds_),
         " s: ", who_is_absent(ranks, host_.rank(), started_ + 1),
         "; NCCL_DEBUG=INFO says what NCCL does; start again with --resume, or raise "
         "communicator.timeout_seconds");
  }

  Communicator& host_;
  double timeout_seconds_;
  int64_t started_ = 0;
};

}  // namespace lockstep::nccl
