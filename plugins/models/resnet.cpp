// ResNet with the stride in the 3x3 convolution ("v1.5"). He et al., arXiv:1512.03385.
// Parameter names and initialisation equal torchvision's.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct ResNetOptions {
  int depth = 50;
  bool small_images = false;
  bool zero_init_residual = false;
};
void describe(Options<ResNetOptions>& o) {
  o("depth", &ResNetOptions::depth, "number of layers", one_of(18, 34, 50, 101, 152));
  o("small_images", &ResNetOptions::small_images, "3x3 stem, no pooling: for 32x32 inputs");
  o("zero_init_residual", &ResNetOptions::zero_init_residual,
    "last batch norm of each block starts at zero (Goyal et al., arXiv:1706.02677, section 5.1)");
}

// The convolution "conv<number>" and the batch norm "bn<number>".
Value conv_bn(Scope s, int number, Value x, const nn::Conv2d& conv, bool zero_init = false) {
  const std::string suffix = std::to_string(number);
  const Value y = nn::conv2d(s / ("conv" + suffix), x, conv);
  return nn::batch_norm(s / ("bn" + suffix), y, {.zero_init = zero_init});
}

// x itself, or projected: (N, C, H, W) -> (N, channels, H / stride, W / stride)
Value shortcut(Scope s, Value x, int64_t channels, int stride) {
  if (stride == 1 && x.shape()[1] == channels) return x;
  const Value y = nn::conv2d(s / 0, x, {.out = channels, .kernel = 1, .stride = stride});
  return nn::batch_norm(s / 1, y);
}

Value basic_block(Scope s, Value x, int64_t width, int stride, bool zero_init) {
  Value y = conv_bn(s, 1, x, {.out = width, .kernel = 3, .stride = stride, .padding = 1});
  y = conv_bn(s, 2, nn::relu(y), {.out = width, .kernel = 3, .padding = 1}, zero_init);
  return nn::relu(y + shortcut(s / "downsample", x, width, stride));
}

Value bottleneck(Scope s, Value x, int64_t width, int stride, bool zero_init) {
  Value y = conv_bn(s, 1, x, {.out = width, .kernel = 1});
  y = conv_bn(s, 2, nn::relu(y), {.out = width, .kernel = 3, .stride = stride, .padding = 1});
  y = conv_bn(s, 3, nn::relu(y), {.out = 4 * width, .kernel = 1}, zero_init);
  return nn::relu(y + shortcut(s / "downsample", x, 4 * width, stride));
}

std::array<int, 4> blocks_per_layer(int depth) {
  switch (depth) {
    case 18:
      return {2, 2, 2, 2};
    case 34:
    case 50:
      return {3, 4, 6, 3};
    case 101:
      return {3, 4, 23, 3};
    default:
      return {3, 8, 36, 3};
  }
}

// image: (N, C, H, W) -> logits (N, classes); features (N, 512 or 2048)
ModelOutput resnet(Scope s, Value image, int64_t classes, const ResNetOptions& o) {
  Value x;
  if (o.small_images) {
    x = nn::relu(conv_bn(s, 1, image, {.out = 64, .kernel = 3, .padding = 1}));
  } else {
    x = nn::relu(conv_bn(s, 1, image, {.out = 64, .kernel = 7, .stride = 2, .padding = 3}));
    x = nn::max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1});
  }
  const auto block = o.depth < 50 ? basic_block : bottleneck;
  const std::array<int, 4> blocks = blocks_per_layer(o.depth);
  for (int layer = 0; layer < 4; ++layer) {
    const Scope in_layer = s / ("layer" + std::to_string(layer + 1));
    for (int i = 0; i < blocks[static_cast<size_t>(layer)]; ++i) {
      const int stride = layer > 0 && i == 0 ? 2 : 1;
      x = block(in_layer / i, x, int64_t{64} << layer, stride, o.zero_init_residual);
    }
  }
  const Value features = nn::global_avg_pool(x);
  return {nn::linear(s / "fc", features, {.out = classes}), {}, features};
}

}  // namespace

LS_PLUGIN(resnet, registry) {
  registry.model("resnet", resnet, "ResNet-18 to 152 (He et al., 2015)");
}
