#include "train/learning_rate.hpp"

#include <cmath>
#include <utility>

namespace lockstep {

LearningRate::LearningRate(double peak, ScheduleSettings settings, ScheduleFunction schedule,
                           int64_t steps_per_epoch, double epochs)
    : peak_(peak),
      settings_(std::move(settings)),
      schedule_(std::move(schedule)),
      steps_per_epoch_(steps_per_epoch),
      epochs_(epochs),
      warmup_steps_(std::llround(settings_.warmup_epochs * static_cast<double>(steps_per_epoch))) {}

double LearningRate::at(int64_t step) const {
  if (step < warmup_steps_) {
    return peak_ * (static_cast<double>(step + 1) / static_cast<double>(warmup_steps_));
  }
  return schedule_({.lr = peak_,
                    .epoch = static_cast<double>(step) / static_cast<double>(steps_per_epoch_),
                    .epochs = epochs_,
                    .settings = settings_});
}

}  // namespace lockstep
