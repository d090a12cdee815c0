// VGG with 11, 13, 16 or 19 layers. Simonyan and Zisserman, arXiv:1409.1556, configurations A, B, D
// and E. Names and initialisation are torchvision's; departures, torchvision's too: batch norm on
// request, and an adaptive average pool, so that images of other sizes fit the classifier.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct VggOptions {
  int depth = 16;
  bool batch_norm = false;
  double dropout = 0.5;
};
void describe(Options<VggOptions>& o) {
  o("depth", &VggOptions::depth, "number of layers", one_of(11, 13, 16, 19));
  o("batch_norm", &VggOptions::batch_norm, "after every convolution");
  o("dropout", &VggOptions::dropout, "after the first two linear layers", between(0, 1));
}

std::array<int, 5> convolutions_per_stage(int depth) {
  switch (depth) {
    case 11:
      return {1, 1, 2, 2, 2};
    case 13:
      return {2, 2, 2, 2, 2};
    case 16:
      return {2, 2, 3, 3, 3};
    default:
      return {2, 2, 4, 4, 4};
  }
}

// image: (N, C, H, W), H and W at least 32 -> (N, 512, H / 32, W / 32). Layers are numbered as the
// modules of torchvision's Sequential, which counts ReLU and pooling.
Value convolutions(Scope s, Value x, const VggOptions& o) {
  int number = 0;
  int64_t width = 64;
  for (int layers : convolutions_per_stage(o.depth)) {
    for (int i = 0; i < layers; ++i) {
      const nn::Conv2d conv{
          .out = width, .kernel = 3, .padding = 1, .bias = true, .bias_init = Init::zeros()};
      x = nn::conv2d(s / number++, x, conv);
      if (o.batch_norm) x = nn::batch_norm(s / number++, x);
      x = nn::relu(x);
      ++number;
    }
    x = nn::max_pool2d(x, {.kernel = 2, .stride = 2});
    ++number;
    width = std::min<int64_t>(2 * width, 512);
  }
  return x;
}

Value linear(Scope s, Value x, int64_t out) {
  return nn::linear(s, x,
                    {.out = out, .init = Init{Init::normal, 0.01}, .bias_init = Init::zeros()});
}

// image: (N, C, H, W), H and W at least 32 -> logits (N, classes); features (N, 4096)
ModelOutput vgg(Scope s, Value image, int64_t classes, const VggOptions& o) {
  Value x = convolutions(s / "features", image, o);
  x = nn::flatten(nn::adaptive_avg_pool2d(x, 7, 7));
  const Scope classifier = s / "classifier";
  x = nn::dropout(classifier / 2, nn::relu(linear(classifier / 0, x, 4096)), o.dropout);
  x = nn::dropout(classifier / 5, nn::relu(linear(classifier / 3, x, 4096)), o.dropout);
  return {linear(classifier / 6, x, classes), {}, x};
}

}  // namespace

LS_PLUGIN(vgg, registry) {
  registry.model("vgg", vgg, "VGG-11 to 19 (Simonyan and Zisserman, 2014)");
}
