// The framework's own pointwise functions. Gradients are functions of y, so x need not be kept.
#include "graph/pointwise.hpp"

#include "plugin/plugin.hpp"

namespace lockstep {
namespace {

struct Relu {
  // Written so that NaN passes through, as in PyTorch.
  static float forward(float x) { return x < 0 ? 0 : x; }
  static float backward(float y, float dy) { return y > 0 ? dy : 0; }
};

struct Sigmoid {
  static float forward(float x) { return 1 / (1 + std::exp(-x)); }
  static float backward(float y, float dy) { return dy * y * (1 - y); }
};

struct Tanh {
  static float forward(float x) { return std::tanh(x); }
  static float backward(float y, float dy) { return dy * (1 - y * y); }
};

template <class F>
void add(OpRegistry& ops, const std::string& name, std::string help) {
  const PointwiseLoops loops{&detail::pointwise_forward<F>, &detail::pointwise_backward<F>,
                             F::forward(0.0f) == 0.0f};
  ops.add(pointwise_op(name, loops, std::move(help)));
  ops.add(pointwise_grad_op(name, loops));
}

}  // namespace

void add_pointwise(OpRegistry& ops) {
  add<Relu>(ops, "relu", "max(x, 0)");
  add<Sigmoid>(ops, "sigmoid", "1 / (1 + exp(-x))");
  add<Tanh>(ops, "tanh", "hyperbolic tangent");
}

}  // namespace lockstep
