// ResNet with the stride in the 3x3 convolution ("v1.5"): He et al., arXiv:1512.03385. With groups
// ResNeXt: Xie et al., arXiv:1611.05431. With wider groups Wide ResNet: Zagoruyko and Komodakis,
// arXiv:1605.07146. Parameter names and initialisation equal torchvision's.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

struct ResNetOptions {
  int depth = 50;
  int groups = 1;
  int width_per_group = 64;
  std::array<int64_t, 4> widths{64, 128, 256, 512};
  bool small_images = false;
  bool zero_init_residual = false;
  bool convolution_bias = false;
  std::string projection = "when_needed";
  std::string stride_in = "3x3";
  int average_pool = 0;
  bool include_top = true;
};
void describe(Options<ResNetOptions>& o) {
  using R = ResNetOptions;
  o("depth", &R::depth, "number of layers", one_of(18, 34, 50, 101, 152));
  o("groups", &R::groups, "of a bottleneck's 3x3 convolution; ResNeXt has 32", at_least(1));
  o("width_per_group", &R::width_per_group,
    "of a bottleneck's 3x3 convolution in the first stage; ResNeXt-50 32x4d has 4, Wide ResNet 128",
    at_least(1));
  o("widths", &R::widths, "channels of the four stages; bottlenecks give four times as many",
    at_least(1));
  o("small_images", &R::small_images, "3x3 stem, no pooling: for 32x32 inputs");
  o("zero_init_residual", &R::zero_init_residual,
    "last batch norm of each block starts at zero (Goyal et al., arXiv:1706.02677, section 5.1)");
  o("convolution_bias", &R::convolution_bias, "convolutions add a value per channel");
  o("projection", &R::projection,
    "where a stage's first shortcut has a convolution: only where extents or channels change, or "
    "in every stage",
    one_of("when_needed", "every_stage"));
  o("stride_in", &R::stride_in,
    "which convolution of a bottleneck halves the image; 1x1: as in 2015", one_of("3x3", "1x1"));
  o("average_pool", &R::average_pool, "side of the last pool's windows; 0: one for the whole image",
    at_least(0));
  o("include_top", &R::include_top, "ends in the classifier; else in the features");
}

// A block's place: channels of its stage, stride, and whether its shortcut is projected anyway.
struct Block {
  int64_t width;
  int stride;
  bool project;
};

class ResNet {
 public:
  explicit ResNet(const ResNetOptions& options) : o_(options) {}

  // image: (N, C, H, W) -> logits (N, classes); features (N, 512 or 2048)
  ModelOutput operator()(Scope s, Value image, int64_t classes) const {
    Value x = stem(s, image);
    const std::array<int, 4> blocks = blocks_per_stage();
    for (size_t stage = 0; stage < 4; ++stage) {
      const Scope in_stage = s / ("layer" + std::to_string(stage + 1));
      for (int i = 0; i < blocks[stage]; ++i) {
        const Block block{.width = o_.widths[stage],
                          .stride = stage > 0 && i == 0 ? 2 : 1,
                          .project = i == 0 && o_.projection == "every_stage"};
        x = o_.depth < 50 ? basic(in_stage / i, x, block) : bottleneck(in_stage / i, x, block);
      }
    }
    const int side = o_.average_pool;
    const Value features = side == 0
                               ? nn::global_avg_pool(x)
                               : nn::flatten(nn::avg_pool2d(x, {.kernel = side, .stride = side}));
    if (!o_.include_top) return {features, {}, features};
    return {nn::linear(s / "fc", features, {.out = classes}), {}, features};
  }

 private:
  std::array<int, 4> blocks_per_stage() const {
    switch (o_.depth) {
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

  // (N, C, H, W) -> (N, 64, H / 4, W / 4), or for small images (N, 64, H, W)
  Value stem(Scope s, Value image) const {
    if (o_.small_images) {
      return nn::relu(conv_bn(s, 1, image, {.out = 64, .kernel = 3, .padding = 1}));
    }
    const Value x =
        nn::relu(conv_bn(s, 1, image, {.out = 64, .kernel = 7, .stride = 2, .padding = 3}));
    return nn::max_pool2d(x, {.kernel = 3, .stride = 2, .padding = 1});
  }

  Value basic(Scope s, Value x, const Block& b) const {
    Value y = conv_bn(s, 1, x, {.out = b.width, .kernel = 3, .stride = b.stride, .padding = 1});
    y = conv_bn(s, 2, nn::relu(y), {.out = b.width, .kernel = 3, .padding = 1},
                o_.zero_init_residual);
    return nn::relu(y + shortcut(s / "downsample", x, b.width, b));
  }

  Value bottleneck(Scope s, Value x, const Block& b) const {
    const int64_t inner = b.width * o_.width_per_group / 64 * o_.groups;
    const bool early = o_.stride_in == "1x1";
    Value y = conv_bn(s, 1, x, {.out = inner, .kernel = 1, .stride = early ? b.stride : 1});
    y = conv_bn(s, 2, nn::relu(y),
                {.out = inner,
                 .kernel = 3,
                 .stride = early ? 1 : b.stride,
                 .padding = 1,
                 .groups = o_.groups});
    y = conv_bn(s, 3, nn::relu(y), {.out = 4 * b.width, .kernel = 1}, o_.zero_init_residual);
    return nn::relu(y + shortcut(s / "downsample", x, 4 * b.width, b));
  }

  // x itself, or projected: (N, C, H, W) -> (N, channels, H / stride, W / stride)
  Value shortcut(Scope s, Value x, int64_t channels, const Block& b) const {
    if (b.stride == 1 && x.shape()[1] == channels && !b.project) return x;
    const nn::Conv2d conv{
        .out = channels, .kernel = 1, .stride = b.stride, .bias = o_.convolution_bias};
    return nn::batch_norm(s / 1, nn::conv2d(s / 0, x, conv));
  }

  // The convolution "conv<number>" and the batch norm "bn<number>".
  Value conv_bn(Scope s, int number, Value x, nn::Conv2d conv, bool zero_init = false) const {
    const std::string suffix = std::to_string(number);
    conv.bias = o_.convolution_bias;
    const Value y = nn::conv2d(s / ("conv" + suffix), x, conv);
    return nn::batch_norm(s / ("bn" + suffix), y, {.zero_init = zero_init});
  }

  const ResNetOptions& o_;
};

ModelOutput resnet(Scope s, Value image, int64_t classes, const ResNetOptions& o) {
  if (o.depth < 50 && (o.groups != 1 || o.width_per_group != 64)) {
    fail(Failure::usage, "model.depth is ", o.depth, " with ", o.groups, " groups of width ",
         o.width_per_group, "; only bottlenecks have groups: take depth 50, 101 or 152");
  }
  return ResNet(o)(s, image, classes);
}

}  // namespace

LS_PLUGIN(resnet, registry) {
  registry.model("resnet", resnet, "ResNet-18 to 152 (He et al., 2015), ResNeXt and Wide ResNet");
}
