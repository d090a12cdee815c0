// The table of train.profile: where the time of training steps went.
#pragma once

#include <string>

#include "runtime/executor.hpp"

namespace lockstep {

// One line per launch label, the longest first, with seconds per step, its share and the number of
// launches; then the step without waiting for data, and the overhead: what of it was spent outside
// of launches.
std::string profile_text(const LaunchTimes& times, double data_wait_seconds);

}  // namespace lockstep
