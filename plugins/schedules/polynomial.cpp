// From the peak, at the end of warm-up, to schedule.final_lr at the end of training, as a power of
// what is left of it. "Poly" of You et al., arXiv:1708.03888, section 5.
#include <algorithm>

#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct Polynomial {
  double power = 2;
};
void describe(Options<Polynomial>& o) {
  o("power", &Polynomial::power, "of what is left of the training; 1: a straight line", positive());
}

double polynomial(const ScheduleArguments& a, const Polynomial& options) {
  const double begin = a.settings.warmup_epochs;
  if (a.epoch <= begin || a.epochs <= begin) return a.lr;
  const double left = std::max(1 - (a.epoch - begin) / (a.epochs - begin), 0.0);
  return a.settings.final_lr + (a.lr - a.settings.final_lr) * std::pow(left, options.power);
}

}  // namespace

LS_PLUGIN(polynomial, registry) {
  registry.schedule("polynomial", polynomial, "a power of what is left, from the peak to final_lr");
}
