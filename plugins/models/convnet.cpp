// A small network for MNIST: two 3x3 convolutions with ReLU and 2x2 pooling, one linear layer.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

// image: (N, C, H, W), H and W at least 4 -> logits (N, classes); features (N, 16 * H / 4 * W / 4)
ModelOutput convnet(Scope s, Value image, int64_t classes, const NoOptions&) {
  Value x = image;
  x = nn::relu(nn::conv2d(s / "conv1", x, {.out = 8, .kernel = 3, .padding = 1, .bias = true}));
  x = nn::max_pool2d(x, {.kernel = 2, .stride = 2});
  x = nn::relu(nn::conv2d(s / "conv2", x, {.out = 16, .kernel = 3, .padding = 1, .bias = true}));
  x = nn::max_pool2d(x, {.kernel = 2, .stride = 2});
  const Value features = nn::flatten(x);
  return {nn::linear(s / "fc", features, {.out = classes}), {}, features};
}

}  // namespace

LS_PLUGIN(convnet, registry) {
  registry.model("convnet", convnet, "two 3x3 convolutions with pooling and a linear layer",
                 {.image = {1, 28, 28}, .classes = 10, .resize = 28});
}
