// Layer-wise adaptive rate scaling: You, Gitman and Ginsburg, arXiv:1708.03888, algorithm 1. Each
// tensor's rate is multiplied with its trust ratio eta * |w| / (|g| + weight_decay * |w|); the rate
// lies in the velocity, so that what is in it keeps the rate of its step. Tensors whose weights or
// gradient are all zero have the ratio 1, and so have norms and biases where the recipe exempts
// them (optimizer.decay_norm_and_bias = false), as is usual for ImageNet.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct Lars {
  static constexpr int slots = 1;
  static constexpr std::string_view slot_names[] = {"velocity"};
  static constexpr bool needs_norms = true;
  float momentum = 0.9f;
  float weight_decay = 0;
  float eta = 0.001f;
  bool adaptive = true;

  LS_HD float trust_ratio(Norms norms) const {
    if (!adaptive || norms.weight == 0 || norms.gradient == 0) return 1;
    return eta * norms.weight / (norms.gradient + weight_decay * norms.weight);
  }
  LS_HD void operator()(StepInfo step, Norms norms, float& w, float g, Slots<slots> slot) const {
    float& v = slot[0];
    v = momentum * v + step.lr * trust_ratio(norms) * (g + weight_decay * w);
    w -= v;
  }
};
void describe(Options<Lars>& o) {
  o("momentum", &Lars::momentum, "share of the velocity that stays", between(0, 1));
  o("weight_decay", &Lars::weight_decay, "times the weight, added to the gradient", at_least(0));
  o("eta", &Lars::eta, "the trust coefficient", positive());
  o("adaptive", &Lars::adaptive, "scale each tensor's rate; false: momentum alone");
}

}  // namespace

LS_PLUGIN(lars, registry) {
  registry.optimizer<Lars>("lars", "momentum with a rate per tensor, for very large batches");
}
