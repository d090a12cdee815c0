// The rate times schedule.gamma after each of schedule.milestones, epochs counted from the start.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

double multi_step(const ScheduleArguments& a, const NoOptions&) {
  double lr = a.lr;
  for (double milestone : a.settings.milestones) {
    // Progress is a quotient: rounding must not put an epoch's first step before the boundary.
    if (a.epoch + 1e-9 >= milestone) lr *= a.settings.gamma;
  }
  return lr;
}

}  // namespace

LS_PLUGIN(multi_step, registry) {
  registry.schedule("multi_step", multi_step, "times gamma after each of the milestones");
}
