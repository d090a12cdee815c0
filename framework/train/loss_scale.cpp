#include "train/loss_scale.hpp"

#include <cmath>
#include <limits>

namespace lockstep {
namespace {

constexpr double kFirst = 65536;
constexpr double kGrowth = 2;
constexpr double kBackoff = 0.5;
constexpr int64_t kGrowthInterval = 2000;

}  // namespace

double initial_loss_scale(const TrainSection& train) {
  if (train.precision != "fp16") return 0;
  return train.loss_scale > 0 ? train.loss_scale : kFirst;
}

void update_loss_scale(Progress& progress, const TrainSection& train, bool skipped) {
  if (skipped) ++progress.skipped_steps;
  progress.steps_at_scale = skipped ? 0 : progress.steps_at_scale + 1;
  if (train.loss_scale > 0) return;
  if (skipped) {
    progress.loss_scale *= kBackoff;
  } else if (progress.steps_at_scale == kGrowthInterval) {
    progress.steps_at_scale = 0;
    // What seeds the gradient is a float.
    const double grown = progress.loss_scale * kGrowth;
    if (grown <= std::numeric_limits<float>::max()) progress.loss_scale = grown;
  }
}

}  // namespace lockstep
