// Learning-rate schedules: functions of the progress in epochs. Warm-up is the framework's, before
// the schedule.
#pragma once

#include <cstdint>
#include <vector>

#include "base/options.hpp"

namespace lockstep {

// The keys of [schedule] that every schedule may use.
struct ScheduleSettings {
  double warmup_epochs = 0;        // linear from lr / (warm-up steps) to lr
  double step_epochs = 30;         // step: multiply by gamma every so many epochs
  std::vector<double> milestones;  // multi_step: multiply by gamma after these epochs
  double gamma = 0.1;
  double final_lr = 0;  // cosine, one_cycle and polynomial: where the rate ends
};
void describe(Options<ScheduleSettings>&);

struct ScheduleArguments {
  double lr;      // the peak
  double epoch;   // progress in epochs at the beginning of the step, from 0; warm-up included
  double epochs;  // of the whole training
  const ScheduleSettings& settings;
};

// The rate for a step.
using ScheduleFunction = std::function<double(const ScheduleArguments&)>;

}  // namespace lockstep
