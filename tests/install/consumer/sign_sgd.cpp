// An optimizer of somebody else: steps of one size, in the direction of the gradient's sign.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct SignSgd {
  static constexpr int slots = 0;

  LS_HD void operator()(StepInfo step, float& w, float g, Slots<slots>) const {
    w -= step.lr * static_cast<float>((g > 0) - (g < 0));
  }
};
void describe(Options<SignSgd>&) {}

}  // namespace

LS_PLUGIN(sign_sgd, registry) { registry.optimizer<SignSgd>("sign_sgd", "steps of one size"); }
