// Inception v3 for images of 299x299. Szegedy et al., "Rethinking the Inception architecture for
// computer vision", arXiv:1512.00567, sections 6 and 7. As torchvision builds it, names and
// initialisation included, which follows the authors' published code where it differs from the
// paper's table 1. torchvision means to draw the auxiliary head's second convolution with deviation
// 0.01, but sets that on a module whose weight it does not draw; so it has 0.1 here too.
//
// The auxiliary head belongs to training: evaluation has neither it nor its parameters. It takes
// images of at least 299x299, all else takes 75x75.
//
// The published weights expect images with mean 0.5 and standard deviation 0.5, for which
// torchvision has "transform_input" inside the network. Here data.mean and data.std say so: see
// recipes/imagenet/inception_v3.toml.
#include "basic_conv2d.hpp"

namespace {
using namespace lockstep;

struct InceptionV3Options {
  bool auxiliary = true;
  double dropout = 0.5;
};
void describe(Options<InceptionV3Options>& o) {
  o("auxiliary", &InceptionV3Options::auxiliary, "one more classifier while training");
  o("dropout", &InceptionV3Options::dropout, "before the classifier", between(0, 1));
}

constexpr double kAuxiliaryWeight = 0.4;  // of the loss, as in the authors' published code
// torchvision cuts this normal distribution off at 2, which is 20 deviations: nothing is cut.
constexpr Init kInit{Init::normal, 0.1};

Value conv(Scope s, Value x, nn::Conv2d options) {
  options.init = kInit;
  return basic_conv2d(s, x, options);
}
Value one_by_one(Scope s, Value x, int64_t out) { return conv(s, x, {.out = out, .kernel = 1}); }
// size x size, 1 x size and size x 1; extents stay.
Value square(Scope s, Value x, int64_t out, int size) {
  return conv(s, x, {.out = out, .kernel = size, .padding = size / 2});
}
Value row(Scope s, Value x, int64_t out, int size) {
  return conv(
      s, x, {.out = out, .kernel = size, .kernel_hw = {{1, size}}, .padding_hw = {{0, size / 2}}});
}
Value column(Scope s, Value x, int64_t out, int size) {
  return conv(
      s, x, {.out = out, .kernel = size, .kernel_hw = {{size, 1}}, .padding_hw = {{size / 2, 0}}});
}
// 3x3 with stride 2: (N, C, H, W) -> (N, out, (H - 1) / 2, (W - 1) / 2)
Value halving(Scope s, Value x, int64_t out) {
  return conv(s, x, {.out = out, .kernel = 3, .stride = 2});
}
Value halved(Value x) { return nn::max_pool2d(x, {.kernel = 3, .stride = 2}); }
Value averaged(Value x) { return nn::avg_pool2d(x, {.kernel = 3, .stride = 1, .padding = 1}); }

// The modules, by torchvision's names. A, C and E keep the extents, B and D halve them.

Value inception_a(Scope s, Value x, int64_t pool_features) {
  const Value b1 = one_by_one(s / "branch1x1", x, 64);
  const Value b5 = square(s / "branch5x5_2", one_by_one(s / "branch5x5_1", x, 48), 64, 5);
  Value b3 = square(s / "branch3x3dbl_2", one_by_one(s / "branch3x3dbl_1", x, 64), 96, 3);
  b3 = square(s / "branch3x3dbl_3", b3, 96, 3);
  return nn::concat({b1, b5, b3, one_by_one(s / "branch_pool", averaged(x), pool_features)});
}

Value inception_b(Scope s, Value x) {
  const Value b3 = halving(s / "branch3x3", x, 384);
  Value b3dbl = square(s / "branch3x3dbl_2", one_by_one(s / "branch3x3dbl_1", x, 64), 96, 3);
  b3dbl = halving(s / "branch3x3dbl_3", b3dbl, 96);
  return nn::concat({b3, b3dbl, halved(x)});
}

Value inception_c(Scope s, Value x, int64_t width) {
  const Value b1 = one_by_one(s / "branch1x1", x, 192);
  Value b7 = row(s / "branch7x7_2", one_by_one(s / "branch7x7_1", x, width), width, 7);
  b7 = column(s / "branch7x7_3", b7, 192, 7);
  Value b7dbl = one_by_one(s / "branch7x7dbl_1", x, width);
  b7dbl = row(s / "branch7x7dbl_3", column(s / "branch7x7dbl_2", b7dbl, width, 7), width, 7);
  b7dbl = row(s / "branch7x7dbl_5", column(s / "branch7x7dbl_4", b7dbl, width, 7), 192, 7);
  return nn::concat({b1, b7, b7dbl, one_by_one(s / "branch_pool", averaged(x), 192)});
}

Value inception_d(Scope s, Value x) {
  const Value b3 = halving(s / "branch3x3_2", one_by_one(s / "branch3x3_1", x, 192), 320);
  Value b7 = row(s / "branch7x7x3_2", one_by_one(s / "branch7x7x3_1", x, 192), 192, 7);
  b7 = halving(s / "branch7x7x3_4", column(s / "branch7x7x3_3", b7, 192, 7), 192);
  return nn::concat({b3, b7, halved(x)});
}

Value inception_e(Scope s, Value x) {
  const auto both = [&](const std::string& name, Value y) {
    return nn::concat({row(s / (name + "a"), y, 384, 3), column(s / (name + "b"), y, 384, 3)});
  };
  const Value b1 = one_by_one(s / "branch1x1", x, 320);
  const Value b3 = both("branch3x3_2", one_by_one(s / "branch3x3_1", x, 384));
  Value b3dbl = square(s / "branch3x3dbl_2", one_by_one(s / "branch3x3dbl_1", x, 448), 384, 3);
  b3dbl = both("branch3x3dbl_3", b3dbl);
  return nn::concat({b1, b3, b3dbl, one_by_one(s / "branch_pool", averaged(x), 192)});
}

// x: (N, 768, H, W), H and W at least 17 -> logits (N, classes)
Value auxiliary_head(Scope s, Value x, int64_t classes) {
  x = one_by_one(s / "conv0", nn::avg_pool2d(x, {.kernel = 5, .stride = 3}), 128);
  x = conv(s / "conv1", x, {.out = 768, .kernel = 5});
  return nn::linear(s / "fc", nn::global_avg_pool(x),
                    {.out = classes, .init = Init{Init::normal, 0.001}});
}

// image: (N, C, H, W) -> logits (N, classes); features (N, 2048)
ModelOutput inception_v3(Scope s, Value image, int64_t classes, const InceptionV3Options& o) {
  Value x = halving(s / "Conv2d_1a_3x3", image, 32);
  x = conv(s / "Conv2d_2a_3x3", x, {.out = 32, .kernel = 3});
  x = halved(square(s / "Conv2d_2b_3x3", x, 64, 3));
  x = one_by_one(s / "Conv2d_3b_1x1", x, 80);
  x = halved(conv(s / "Conv2d_4a_3x3", x, {.out = 192, .kernel = 3}));
  x = inception_a(s / "Mixed_5b", x, 32);
  x = inception_a(s / "Mixed_5c", x, 64);
  x = inception_a(s / "Mixed_5d", x, 64);
  x = inception_b(s / "Mixed_6a", x);
  x = inception_c(s / "Mixed_6b", x, 128);
  x = inception_c(s / "Mixed_6c", x, 160);
  x = inception_c(s / "Mixed_6d", x, 160);
  x = inception_c(s / "Mixed_6e", x, 192);
  std::vector<AuxiliaryLogits> auxiliary;
  if (o.auxiliary && s.mode() == Mode::training) {
    auxiliary.push_back({auxiliary_head(s / "AuxLogits", x, classes), kAuxiliaryWeight});
  }
  x = inception_d(s / "Mixed_7a", x);
  x = inception_e(s / "Mixed_7b", x);
  x = inception_e(s / "Mixed_7c", x);
  const Value features = nn::global_avg_pool(x);
  x = nn::dropout(s / "dropout", features, o.dropout);
  return {nn::linear(s / "fc", x, {.out = classes, .init = kInit}), std::move(auxiliary), features};
}

}  // namespace

LS_PLUGIN(inception_v3, registry) {
  registry.model(
      "inception_v3", inception_v3, "Inception v3 for 299x299 (Szegedy et al., 2015)",
      {.image = {3, 299, 299}, .resize = 342, .mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}});
}
