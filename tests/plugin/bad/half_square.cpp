// A pointwise op, found by the model of the same plugin. y = x > 0 ? sqrt(x) : 0.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;
struct HalfSquare {
  LS_HD static float forward(float x) { return x > 0 ? std::sqrt(x) : 0; }
  LS_HD static float backward(float y, float dy) { return y > 0 ? dy / (2 * y) : 0; }
};
Value model(Scope, Value image, int64_t, const NoOptions&) {
  return nn::pointwise("half_square", image);
}
}  // namespace

LS_PLUGIN(half_square, registry) {
  registry.pointwise<HalfSquare>("half_square", "the root of what is positive");
  registry.model("half_square", model);
}
