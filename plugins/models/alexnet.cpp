// AlexNet in one column, as torchvision builds it. Krizhevsky, "One weird trick for parallelizing
// convolutional neural networks", arXiv:1404.5997, after Krizhevsky et al., NIPS 2012.
// Departures, torchvision's: no local response normalisation, PyTorch's initialisation, and an
// adaptive average pool, so that images of other sizes fit the classifier. Names are torchvision's.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct AlexNetOptions {
  double dropout = 0.5;
};
void describe(Options<AlexNetOptions>& o) {
  o("dropout", &AlexNetOptions::dropout, "before the first two linear layers", between(0, 1));
}

// PyTorch's default for convolutions: U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)), as for biases.
constexpr Init kDefault{Init::uniform_fan_in};

Value conv_relu(Scope s, int number, Value x, nn::Conv2d conv) {
  conv.bias = true;
  conv.init = kDefault;
  return nn::relu(nn::conv2d(s / "features" / number, x, conv));
}

// image: (N, C, H, W), H and W at least 63 -> logits (N, classes); features (N, 4096)
ModelOutput alexnet(Scope s, Value image, int64_t classes, const AlexNetOptions& o) {
  constexpr nn::Pool2d kPool{.kernel = 3, .stride = 2};
  Value x = conv_relu(s, 0, image, {.out = 64, .kernel = 11, .stride = 4, .padding = 2});
  x = conv_relu(s, 3, nn::max_pool2d(x, kPool), {.out = 192, .kernel = 5, .padding = 2});
  x = conv_relu(s, 6, nn::max_pool2d(x, kPool), {.out = 384, .kernel = 3, .padding = 1});
  x = conv_relu(s, 8, x, {.out = 256, .kernel = 3, .padding = 1});
  x = conv_relu(s, 10, x, {.out = 256, .kernel = 3, .padding = 1});
  x = nn::flatten(nn::adaptive_avg_pool2d(nn::max_pool2d(x, kPool), 6, 6));

  const Scope classifier = s / "classifier";
  x = nn::dropout(classifier / 0, x, o.dropout);
  x = nn::relu(nn::linear(classifier / 1, x, {.out = 4096}));
  x = nn::dropout(classifier / 3, x, o.dropout);
  const Value features = nn::relu(nn::linear(classifier / 4, x, {.out = 4096}));
  return {nn::linear(classifier / 6, features, {.out = classes}), {}, features};
}

}  // namespace

LS_PLUGIN(alexnet, registry) {
  registry.model("alexnet", alexnet, "AlexNet in one column (Krizhevsky, 2014)");
}
