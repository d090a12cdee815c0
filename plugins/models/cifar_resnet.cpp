// The narrow ResNets for 32x32 images with parameter-free shortcuts. He et al., arXiv:1512.03385,
// section 4.2, option A. Parameter names as in the weights people have: the last layer is called
// "linear".
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct CifarResNetOptions {
  int depth = 20;
};
void describe(Options<CifarResNetOptions>& o) {
  o("depth", &CifarResNetOptions::depth, "number of layers", one_of(20, 32, 44, 56, 110));
}

// The convolution "conv<number>", 3x3, and the batch norm "bn<number>".
Value conv_bn(Scope s, int number, Value x, int64_t width, int stride = 1) {
  const std::string suffix = std::to_string(number);
  const Value y = nn::conv2d(s / ("conv" + suffix), x,
                             {.out = width,
                              .kernel = 3,
                              .stride = stride,
                              .padding = 1,
                              .init = {Init::he_normal_fan_in}});
  return nn::batch_norm(s / ("bn" + suffix), y);
}

// Where the block halves the picture and doubles the channels, the new channels are zeros.
Value shortcut(Value x, int64_t width, int stride) {
  const int64_t added = width - x.shape()[1];
  if (stride == 1 && added == 0) return x;
  return nn::pad_channels(nn::subsample(x, stride), added / 2, added - added / 2);
}

Value block(Scope s, Value x, int64_t width, int stride) {
  Value y = nn::relu(conv_bn(s, 1, x, width, stride));
  y = conv_bn(s, 2, y, width);
  return nn::relu(y + shortcut(x, width, stride));
}

// image: (N, C, H, W) -> logits (N, classes); features (N, 64)
ModelOutput cifar_resnet(Scope s, Value image, int64_t classes, const CifarResNetOptions& o) {
  Value x = nn::relu(conv_bn(s, 1, image, 16));
  const int blocks = (o.depth - 2) / 6;
  for (int layer = 0; layer < 3; ++layer) {
    const Scope in_layer = s / ("layer" + std::to_string(layer + 1));
    for (int i = 0; i < blocks; ++i) {
      x = block(in_layer / i, x, int64_t{16} << layer, layer > 0 && i == 0 ? 2 : 1);
    }
  }
  const Value features = nn::global_avg_pool(x);
  return {nn::linear(s / "linear", features, {.out = classes}), {}, features};
}

}  // namespace

LS_PLUGIN(cifar_resnet, registry) {
  registry.model("cifar_resnet", cifar_resnet, "ResNet-20 to 110 for CIFAR (He et al., 2015)",
                 {.image = {3, 32, 32}, .classes = 10, .resize = 32});
}
