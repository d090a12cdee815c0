// The rate times schedule.gamma every schedule.step_epochs epochs, counted from the start.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

double step(const ScheduleArguments& a, const NoOptions&) {
  // Progress is a quotient: rounding must not put an epoch's first step before the boundary.
  const double passed = std::floor(a.epoch / a.settings.step_epochs + 1e-9);
  return a.lr * std::pow(a.settings.gamma, passed);
}

}  // namespace

LS_PLUGIN(step, registry) {
  registry.schedule("step", step, "times gamma every step_epochs epochs");
}
