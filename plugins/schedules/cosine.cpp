// Half a cosine from the peak, at the end of warm-up, to schedule.final_lr at the end of training.
// Loshchilov and Hutter, arXiv:1608.03983, equation 5 without restarts.
#include <algorithm>

#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

double cosine(const ScheduleArguments& a, const NoOptions&) {
  const double begin = a.settings.warmup_epochs;
  if (a.epoch <= begin || a.epochs <= begin) return a.lr;
  const double progress = std::min((a.epoch - begin) / (a.epochs - begin), 1.0);
  const double final_lr = a.settings.final_lr;
  return final_lr + (a.lr - final_lr) * (1 + std::cos(M_PI * progress)) / 2;
}

}  // namespace

LS_PLUGIN(cosine, registry) {
  registry.schedule("cosine", cosine, "half a cosine from the peak to final_lr");
}
