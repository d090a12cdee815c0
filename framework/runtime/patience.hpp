// How long nothing has moved, and how long to sleep until one looks again.
#pragma once

#include <algorithm>
#include <chrono>

namespace lockstep {

class Patience {
 public:
  using Clock = std::chrono::steady_clock;

  // Something has moved, or there was nothing that could.
  void restart() {
    last_progress_ = last_look_ = Clock::now();
    silence_seconds_ = 0;
  }

  // Called again and again. Silence counts while `waiting`; time in which this process itself stood
  // still (it was stopped, or the host was asleep) says nothing about others.
  void look(bool waiting) {
    constexpr double kMostPerLook = 0.1;
    const auto now = Clock::now();
    const std::chrono::duration<double> elapsed = now - last_look_;
    last_look_ = now;
    if (waiting) silence_seconds_ += std::min(elapsed.count(), kMostPerLook);
  }
  double silence_seconds() const { return silence_seconds_; }

  // Longer and longer. While somebody waits for it, at first not at all: zero, give way to others.
  Clock::duration sleep(bool waited_for) const {
    using std::chrono::microseconds;
    constexpr auto kSpin = microseconds(20);
    constexpr auto kShortest = microseconds(10);
    const auto longest = microseconds(waited_for ? 100 : 250);
    const auto idle = Clock::now() - last_progress_;
    if (waited_for && idle < kSpin) return {};
    return std::clamp<Clock::duration>(idle / 4, kShortest, longest);
  }

 private:
  Clock::time_point last_progress_ = Clock::now();
  Clock::time_point last_look_ = Clock::now();
  double silence_seconds_ = 0;
};

}  // namespace lockstep
