// A perceptron with one hidden layer.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct TwoLayersOptions {
  int64_t hidden = 32;
};
void describe(Options<TwoLayersOptions>& o) {
  o("hidden", &TwoLayersOptions::hidden, "units of the hidden layer", at_least(1));
}

// image: (N, C, H, W) -> logits (N, classes)
Value two_layers(Scope s, Value image, int64_t classes, const TwoLayersOptions& o) {
  Value x = nn::flatten(image);                               // (N, C*H*W)
  x = nn::relu(nn::linear(s / "fc1", x, {.out = o.hidden}));  // (N, hidden)
  return nn::linear(s / "fc2", x, {.out = classes});          // (N, classes)
}
}  // namespace

LS_PLUGIN(two_layers, registry) {
  registry.model("two_layers", two_layers, "a perceptron with one hidden layer");
}
