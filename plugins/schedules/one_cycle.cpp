// Up from lr / div_factor to the peak and down to schedule.final_lr, both as half a cosine. Smith
// and Topin, arXiv:1708.07120, in the form of torch.optim.lr_scheduler.OneCycleLR with two phases;
// momentum stays as it is.
#include <algorithm>

#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct OneCycleOptions {
  double pct_start = 0.3;
  double div_factor = 25;
};
void describe(Options<OneCycleOptions>& o) {
  o("pct_start", &OneCycleOptions::pct_start, "share of the training spent rising", between(0, 1));
  o("div_factor", &OneCycleOptions::div_factor, "the peak over the rate at the start", at_least(1));
}

// `from` at progress 0, `to` at progress 1.
double half_cosine(double from, double to, double progress) {
  return to + (from - to) * (1 + std::cos(M_PI * progress)) / 2;
}

double one_cycle(const ScheduleArguments& a, const OneCycleOptions& o) {
  const double begin = a.settings.warmup_epochs;
  if (a.epochs <= begin) return a.lr;
  const double progress = std::clamp((a.epoch - begin) / (a.epochs - begin), 0.0, 1.0);
  if (progress < o.pct_start) return half_cosine(a.lr / o.div_factor, a.lr, progress / o.pct_start);
  if (o.pct_start == 1) return a.lr;
  return half_cosine(a.lr, a.settings.final_lr, (progress - o.pct_start) / (1 - o.pct_start));
}

}  // namespace

LS_PLUGIN(one_cycle, registry) {
  registry.schedule("one_cycle", one_cycle, "up to the peak and down to final_lr");
}
