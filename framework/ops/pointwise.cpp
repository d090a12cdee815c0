// The ops of the framework's own pointwise functions.
#include "graph/pointwise.hpp"
#include "ops/pointwise_functors.hpp"
#include "plugin/plugin.hpp"

namespace lockstep {
namespace {

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
