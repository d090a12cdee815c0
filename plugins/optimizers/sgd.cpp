// Stochastic gradient descent with momentum, as torch.optim.SGD: the rate multiplies the velocity,
// not the gradient. Nesterov momentum as in Sutskever et al., ICML 2013.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct Sgd {
  static constexpr int slots = 1;
  static constexpr std::string_view slot_names[] = {"velocity"};
  float momentum = 0.9f;
  float weight_decay = 0;
  bool nesterov = false;

  LS_HD void operator()(StepInfo step, float& w, float g, Slots<slots> slot) const {
    float& v = slot[0];
    g += weight_decay * w;
    v = momentum * v + g;
    w -= step.lr * (nesterov ? g + momentum * v : v);
  }
};
void describe(Options<Sgd>& o) {
  o("momentum", &Sgd::momentum, "share of the velocity that stays", between(0, 1));
  o("weight_decay", &Sgd::weight_decay, "times the weight, added to the gradient", at_least(0));
  o("nesterov", &Sgd::nesterov, "look ahead by the momentum");
}

}  // namespace

LS_PLUGIN(sgd, registry) {
  registry.optimizer<Sgd>("sgd", "gradient descent with momentum and weight decay");
}
