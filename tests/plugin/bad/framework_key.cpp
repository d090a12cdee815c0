// Its option is named like a key of the framework in [optimizer].
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;
struct WithRate {
  static constexpr int slots = 0;
  float lr = 1;
  LS_HD void operator()(StepInfo, float& w, float g, Slots<0>) const { w -= lr * g; }
};
void describe(Options<WithRate>& o) { o("lr", &WithRate::lr, "a rate of its own"); }
}  // namespace

LS_PLUGIN(framework_key, registry) { registry.optimizer<WithRate>("framework_key"); }
