// How long launches take; off unless somebody asks, for timing waits for the device after each.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "runtime/host_wait.hpp"

namespace lockstep {

// Time spent in launches, by launch label; only collected when asked for.
struct LaunchTimes {
  double step_seconds = 0;    // wall time of whole steps
  double launch_seconds = 0;  // sum over launches
  int64_t steps = 0;
  std::map<std::string, std::pair<double, int64_t>> by_label;  // seconds, launches
};

class LaunchTimer {
 public:
  explicit LaunchTimer(HostWait& wait) : wait_(wait) {}

  void turn(bool on) { on_ = on; }
  bool is_on() const { return on_; }
  const LaunchTimes& times() const { return times_; }

  // Calls work(), which enqueues a launch.
  template <class F>
  void launch(const std::string& label, const F& work) {
    if (!on_) return work();
    const double seconds = seconds_of([&] {
      work();
      wait_.for_launches(label);
    });
    auto& [total, count] = times_.by_label[label];
    total += seconds, ++count;
    times_.launch_seconds += seconds;
  }

  // Calls work(), which is a whole step, or the evaluation of a batch.
  template <class F>
  void step(const F& work) {
    if (!on_) return work();
    times_.step_seconds += seconds_of(work);
    ++times_.steps;
  }

 private:
  template <class F>
  static double seconds_of(const F& work) {
    const auto started = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  }

  HostWait& wait_;
  bool on_ = false;
  LaunchTimes times_;
};

}  // namespace lockstep
