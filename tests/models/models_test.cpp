// The built-in models: names and numbers of parameters, shapes, images too small.
#include <gtest/gtest.h>

#include "models/built_model.hpp"
#include "ops/attributes.hpp"
#include "support/expect_error.hpp"

namespace lockstep::testing {
namespace {

using Built = BuiltModel;

Setting::Table depth(int64_t depth) { return {{"depth", "test", setting(depth)}}; }

TEST(ResNetTest, HasTorchvisionsNumbersOfParametersAndTensors) {
  struct Expected {
    int64_t depth, parameters;
    size_t names, buffers;
    int64_t features;
  };
  for (const Expected& e : {Expected{18, 11'689'512, 62, 40, 512},
                            {34, 21'797'672, 110, 72, 512},
                            {50, 25'557'032, 161, 106, 2048},
                            {101, 44'549'160, 314, 208, 2048},
                            {152, 60'192'808, 467, 310, 2048}}) {
    SCOPED_TRACE(e.depth);
    const Built model("resnet", depth(e.depth), {3, 224, 224}, 1000);
    EXPECT_EQ(model.parameters(), e.parameters);
    EXPECT_EQ(model.names("parameter").size(), e.names);
    EXPECT_EQ(model.names("buffer").size(), e.buffers);
    EXPECT_EQ(model.output.logits.shape(), (Shape{2, 1000}));
    EXPECT_EQ(model.output.features.shape(), (Shape{2, e.features}));
  }
}

TEST(ResNetTest, NamesParametersAsTorchvision) {
  const std::vector<std::string> expected{
      "conv1.weight",
      "bn1.weight",
      "bn1.bias",
      "layer1.0.conv1.weight",
      "layer1.0.bn1.weight",
      "layer1.0.bn1.bias",
      "layer1.0.conv2.weight",
      "layer1.0.bn2.weight",
      "layer1.0.bn2.bias",
      "layer1.1.conv1.weight",
      "layer1.1.bn1.weight",
      "layer1.1.bn1.bias",
      "layer1.1.conv2.weight",
      "layer1.1.bn2.weight",
      "layer1.1.bn2.bias",
      "layer2.0.conv1.weight",
      "layer2.0.bn1.weight",
      "layer2.0.bn1.bias",
      "layer2.0.conv2.weight",
      "layer2.0.bn2.weight",
      "layer2.0.bn2.bias",
      "layer2.0.downsample.0.weight",
      "layer2.0.downsample.1.weight",
      "layer2.0.downsample.1.bias",
      "layer2.1.conv1.weight",
      "layer2.1.bn1.weight",
      "layer2.1.bn1.bias",
      "layer2.1.conv2.weight",
      "layer2.1.bn2.weight",
      "layer2.1.bn2.bias",
      "layer3.0.conv1.weight",
      "layer3.0.bn1.weight",
      "layer3.0.bn1.bias",
      "layer3.0.conv2.weight",
      "layer3.0.bn2.weight",
      "layer3.0.bn2.bias",
      "layer3.0.downsample.0.weight",
      "layer3.0.downsample.1.weight",
      "layer3.0.downsample.1.bias",
      "layer3.1.conv1.weight",
      "layer3.1.bn1.weight",
      "layer3.1.bn1.bias",
      "layer3.1.conv2.weight",
      "layer3.1.bn2.weight",
      "layer3.1.bn2.bias",
      "layer4.0.conv1.weight",
      "layer4.0.bn1.weight",
      "layer4.0.bn1.bias",
      "layer4.0.conv2.weight",
      "layer4.0.bn2.weight",
      "layer4.0.bn2.bias",
      "layer4.0.downsample.0.weight",
      "layer4.0.downsample.1.weight",
      "layer4.0.downsample.1.bias",
      "layer4.1.conv1.weight",
      "layer4.1.bn1.weight",
      "layer4.1.bn1.bias",
      "layer4.1.conv2.weight",
      "layer4.1.bn2.weight",
      "layer4.1.bn2.bias",
      "fc.weight",
      "fc.bias",
  };
  EXPECT_EQ(Built("resnet", depth(18), {3, 224, 224}, 1000).names("parameter"), expected);
}

TEST(ResNetTest, NamesBottlenecksAsTorchvision) {
  const Built model("resnet", depth(50), {3, 224, 224}, 1000);
  for (const char* name : {"layer1.0.downsample.0.weight", "layer1.0.downsample.1.bias",
                           "layer4.2.conv3.weight", "layer3.5.bn3.bias"}) {
    EXPECT_NE(model.graph.find("parameter", name), nullptr) << name;
  }
  EXPECT_NE(model.graph.find("buffer", "layer4.0.downsample.1.running_var"), nullptr);
  EXPECT_EQ(model.graph.find("parameter", "layer1.1.downsample.0.weight"), nullptr);
}

TEST(ResNetTest, StridesInThe3x3ConvolutionOfABottleneck) {
  const Built model("resnet", depth(50), {3, 224, 224}, 1000);
  EXPECT_EQ(model.graph.find("conv2d", "layer2.0.conv1")->outputs[0].shape,
            (Shape{2, 128, 56, 56}));
  EXPECT_EQ(model.graph.find("conv2d", "layer2.0.conv2")->outputs[0].shape,
            (Shape{2, 128, 28, 28}));
}

TEST(ResNetTest, KeepsTheExtentsOfSmallImagesInItsStem) {
  Setting::Table options = depth(18);
  options.push_back({"small_images", "test", setting(true)});
  const Built model("resnet", options, {3, 32, 32}, 10);
  EXPECT_EQ(model.parameters(), 11'173'962);
  EXPECT_EQ(model.graph.find("conv2d", "layer1.0.conv1")->outputs[0].shape, (Shape{2, 64, 32, 32}));
  EXPECT_EQ(model.graph.find("conv2d", "layer4.1.conv2")->outputs[0].shape, (Shape{2, 512, 4, 4}));
}

TEST(ResNetTest, StartsResidualBranchesAtZeroOnRequest) {
  for (const bool zero : {false, true}) {
    Setting::Table options = depth(18);
    options.push_back({"zero_init_residual", "test", setting(zero)});
    const Built model("resnet", options, {3, 64, 64}, 10);
    const auto initial = [&](std::string_view name) {
      return model.graph.find("parameter", name)->attributes.as<ParameterAttributes>().init.value;
    };
    EXPECT_EQ(initial("layer2.0.bn2.weight"), zero ? 0 : 1);
    EXPECT_EQ(initial("layer2.0.bn1.weight"), 1);
  }
}

TEST(ResNetTest, RefusesDepthsItDoesNotHave) {
  expect_error([] { Built("resnet", depth(20), {3, 32, 32}, 10); }, Failure::usage, "depth");
}

TEST(CifarResNetTest, HasThePapersNumbersOfParameters) {
  for (const auto& [layers, parameters] : {std::pair<int64_t, int64_t>{20, 269'722},
                                           {32, 464'154},
                                           {44, 658'586},
                                           {56, 853'018},
                                           {110, 1'727'962}}) {
    SCOPED_TRACE(layers);
    EXPECT_EQ(Built("cifar_resnet", depth(layers), {3, 32, 32}, 10).parameters(), parameters);
  }
}

TEST(CifarResNetTest, HasShortcutsWithoutParameters) {
  const Built model("cifar_resnet", depth(20), {3, 32, 32}, 10);
  const std::vector<std::string> names = model.names("parameter");
  EXPECT_EQ(names.size(), 3u + 9 * 6 + 2);
  EXPECT_EQ(names.front(), "conv1.weight");
  EXPECT_EQ(names.back(), "linear.bias");
  EXPECT_EQ(model.graph.find_all("subsample").size(), 2u);
  for (int32_t i : model.graph.find_all("pad_channels")) {
    const Node& node = model.graph.nodes()[static_cast<size_t>(i)];
    const auto& pad = node.attributes.as<ChannelsAttributes>();
    EXPECT_EQ(pad.begin, node.outputs[0].shape[1] / 4);
    EXPECT_EQ(pad.count, pad.begin);
  }
}

TEST(ConvNetTest, FollowsTheImagesChannelsAndExtents) {
  const Built mnist("convnet", {}, {1, 28, 28}, 10);
  EXPECT_EQ(mnist.parameters(), 80 + 1168 + 784 * 10 + 10);
  EXPECT_EQ(mnist.names("parameter"),
            (std::vector<std::string>{"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias",
                                      "fc.weight", "fc.bias"}));
  EXPECT_EQ(Built("convnet", {}, {3, 32, 32}, 10).output.features.shape(), (Shape{2, 1024}));
}

TEST(LeNet5Test, HasThePapersLayersFor28And32Pixels) {
  for (const int64_t side : {28, 32}) {
    const Built model("lenet5", {}, {1, side, side}, 10, Mode::evaluation);
    EXPECT_EQ(model.parameters(), 61'706);
    EXPECT_EQ(model.graph.find_all("tanh").size(), 4u);
  }
  const Setting::Table relu{{"activation", "test", setting(std::string("relu"))}};
  EXPECT_EQ(Built("lenet5", relu, {1, 28, 28}, 10).graph.find_all("relu").size(), 4u);
}

TEST(ModelsTest, SayThatImagesAreTooSmallForThem) {
  const std::string text = "the images are too small for this model";
  expect_error([] { Built("convnet", {}, {1, 3, 3}, 10); }, Failure::usage, text);
  expect_error([] { Built("convnet", {}, {1, 3, 3}, 10); }, Failure::usage, "conv2/max_pool2d");
  expect_error([] { Built("lenet5", {}, {1, 8, 8}, 10); }, Failure::usage, text);
  expect_error([] { Built("lenet5", {}, {1, 8, 8}, 10); }, Failure::usage, "conv2: conv2d: ");
}

}  // namespace
}  // namespace lockstep::testing
