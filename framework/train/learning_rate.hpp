// The learning rate of every step: a linear warm-up, then the recipe's schedule.
#pragma once

#include <cstdint>

#include "train/schedule.hpp"

namespace lockstep {

// The linear scaling rule (Goyal et al., arXiv:1706.02677, section 2.1): `lr` holds for batches of
// `reference` samples and grows with the global batch. reference = 0: lr as it is.
constexpr double scaled_lr(double lr, int64_t reference, int64_t global_batch_size) {
  if (reference == 0) return lr;
  return lr * static_cast<double>(global_batch_size) / static_cast<double>(reference);
}

class LearningRate {
 public:
  // `epochs`: of the whole training, which the schedule stretches over; infinity where nothing but
  // time ends it.
  LearningRate(double peak, ScheduleSettings settings, ScheduleFunction schedule,
               int64_t steps_per_epoch, double epochs);

  // The rate of step `step`, counted from 0 over the whole training. Step i of W warm-up steps has
  // peak * (i + 1) / W.
  double at(int64_t step) const;
  int64_t warmup_steps() const { return warmup_steps_; }

 private:
  double peak_;
  ScheduleSettings settings_;
  ScheduleFunction schedule_;
  int64_t steps_per_epoch_;
  double epochs_;
  int64_t warmup_steps_;
};

}  // namespace lockstep
