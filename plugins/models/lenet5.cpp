// LeNet-5. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE
// 86(11), 1998, figure 2. Departures, as is usual today: the second convolution sees all maps,
// pooling takes the maximum and has no parameters, the output layer is linear.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct LeNet5Options {
  std::string activation = "tanh";
};
void describe(Options<LeNet5Options>& o) {
  o("activation", &LeNet5Options::activation, "after each layer but the last",
    one_of("tanh", "relu"));
}

// image: (N, C, 28, 28) or (N, C, 32, 32) -> logits (N, classes); features (N, 84)
ModelOutput lenet5(Scope s, Value image, int64_t classes, const LeNet5Options& o) {
  const auto active = [&](Value x) { return nn::pointwise(o.activation, x); };
  const int padding = image.shape()[2] < 32 ? 2 : 0;  // the paper's digits lie in 32x32 pictures
  Value x = active(
      nn::conv2d(s / "conv1", image, {.out = 6, .kernel = 5, .padding = padding, .bias = true}));
  x = nn::max_pool2d(x, {.kernel = 2, .stride = 2});
  x = active(nn::conv2d(s / "conv2", x, {.out = 16, .kernel = 5, .bias = true}));
  x = nn::flatten(nn::max_pool2d(x, {.kernel = 2, .stride = 2}));
  x = active(nn::linear(s / "fc1", x, {.out = 120}));
  const Value features = active(nn::linear(s / "fc2", x, {.out = 84}));
  return {nn::linear(s / "fc3", features, {.out = classes}), {}, features};
}

}  // namespace

LS_PLUGIN(lenet5, registry) {
  registry.model("lenet5", lenet5, "LeNet-5 for 28x28 or 32x32 digits (LeCun et al., 1998)",
                 {.image = {1, 28, 28}, .classes = 10, .resize = 28});
}
