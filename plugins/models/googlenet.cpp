// GoogLeNet (Inception v1). Szegedy et al., "Going deeper with convolutions", arXiv:1409.4842,
// table 1 and section 5. As torchvision builds it, names and initialisation included, which departs
// from the paper: batch norm after every convolution and no local response normalisation, 3x3
// convolutions where the paper has 5x5 (torchvision's issue 906), other rates of dropout.
//
// The auxiliary heads belong to training: evaluation has neither them nor their parameters.
//
// The published weights expect images with mean 0.5 and standard deviation 0.5, for which
// torchvision has "transform_input" inside the network. Here data.mean and data.std say so: see
// recipes/imagenet/googlenet.toml.
#include "basic_conv2d.hpp"

namespace {
using namespace lockstep;

struct GoogLeNetOptions {
  bool auxiliary = true;
  double dropout = 0.2;
  double auxiliary_dropout = 0.7;
};
void describe(Options<GoogLeNetOptions>& o) {
  o("auxiliary", &GoogLeNetOptions::auxiliary, "two more classifiers while training");
  o("dropout", &GoogLeNetOptions::dropout, "before the classifier", between(0, 1));
  o("auxiliary_dropout", &GoogLeNetOptions::auxiliary_dropout, "in the auxiliary classifiers",
    between(0, 1));
}

constexpr double kAuxiliaryWeight = 0.3;  // of the loss: section 5
// torchvision cuts this normal distribution off at 2, which is 200 deviations: nothing is cut.
constexpr Init kInit{Init::normal, 0.01};

Value conv(Scope s, Value x, int64_t out, int kernel, int stride = 1) {
  return basic_conv2d(
      s, x, {.out = out, .kernel = kernel, .stride = stride, .padding = kernel / 2, .init = kInit});
}

// Channels of a module's branches, in the order of table 1.
struct Channels {
  int64_t one, reduce_three, three, reduce_five, five, pool;
};

// x: (N, C, H, W) -> (N, one + three + five + pool, H, W)
Value inception(Scope s, Value x, const Channels& c) {
  const Scope b2 = s / "branch2", b3 = s / "branch3";
  const Value one = conv(s / "branch1", x, c.one, 1);
  const Value three = conv(b2 / 1, conv(b2 / 0, x, c.reduce_three, 1), c.three, 3);
  const Value five = conv(b3 / 1, conv(b3 / 0, x, c.reduce_five, 1), c.five, 3);
  const Value pooled = nn::max_pool2d(x, {.kernel = 3, .stride = 1, .padding = 1});
  return nn::concat({one, three, five, conv(s / "branch4" / 1, pooled, c.pool, 1)});
}

Value halved(Value x, int kernel) {
  return nn::max_pool2d(x, {.kernel = kernel, .stride = 2, .ceil_mode = true});
}

// x: (N, C, H, W) -> logits (N, classes)
Value auxiliary_head(Scope s, Value x, int64_t classes, double dropout) {
  x = nn::flatten(conv(s / "conv", nn::adaptive_avg_pool2d(x, 4, 4), 128, 1));
  x = nn::relu(nn::linear(s / "fc1", x, {.out = 1024, .init = kInit}));
  x = nn::dropout(s / "dropout", x, dropout);
  return nn::linear(s / "fc2", x, {.out = classes, .init = kInit});
}

// image: (N, C, H, W) -> logits (N, classes); features (N, 1024)
ModelOutput googlenet(Scope s, Value image, int64_t classes, const GoogLeNetOptions& o) {
  std::vector<AuxiliaryLogits> auxiliary;
  const auto add_head = [&](std::string_view name, Value x) {
    if (!o.auxiliary || s.mode() == Mode::evaluation) return;
    auxiliary.push_back(
        {auxiliary_head(s / name, x, classes, o.auxiliary_dropout), kAuxiliaryWeight});
  };
  Value x = halved(conv(s / "conv1", image, 64, 7, 2), 3);
  x = conv(s / "conv2", x, 64, 1);
  x = halved(conv(s / "conv3", x, 192, 3), 3);
  x = inception(s / "inception3a", x, {64, 96, 128, 16, 32, 32});
  x = inception(s / "inception3b", x, {128, 128, 192, 32, 96, 64});
  x = inception(s / "inception4a", halved(x, 3), {192, 96, 208, 16, 48, 64});
  add_head("aux1", x);
  x = inception(s / "inception4b", x, {160, 112, 224, 24, 64, 64});
  x = inception(s / "inception4c", x, {128, 128, 256, 24, 64, 64});
  x = inception(s / "inception4d", x, {112, 144, 288, 32, 64, 64});
  add_head("aux2", x);
  x = inception(s / "inception4e", x, {256, 160, 320, 32, 128, 128});
  x = inception(s / "inception5a", halved(x, 2), {256, 160, 320, 32, 128, 128});
  x = inception(s / "inception5b", x, {384, 192, 384, 48, 128, 128});
  const Value features = nn::global_avg_pool(x);
  x = nn::dropout(s / "dropout", features, o.dropout);
  return {nn::linear(s / "fc", x, {.out = classes, .init = kInit}), std::move(auxiliary), features};
}

}  // namespace

LS_PLUGIN(googlenet, registry) {
  registry.model("googlenet", googlenet, "GoogLeNet, Inception v1 (Szegedy et al., 2014)",
                 {.mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}});
}
