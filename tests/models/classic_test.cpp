// What the classic networks have beside torchvision's names: auxiliary heads in training alone,
// initial values, ResNet's variants, and what they say of images too small for them.
#include <gtest/gtest.h>

#include "models/built_model.hpp"
#include "ops/attributes.hpp"
#include "plan/plan.hpp"
#include "support/expect_error.hpp"

namespace lockstep::testing {
namespace {

TEST(AuxiliaryHeadsTest, BelongToTrainingAlone) {
  struct Expected {
    const char* model;
    int64_t side;
    size_t heads;
    double weight;
    int64_t training, evaluation;
  };
  for (const Expected& e : {Expected{"googlenet", 224, 2, 0.3, 13'004'888, 6'624'904},
                            {"inception_v3", 299, 1, 0.4, 27'161'264, 23'834'568}}) {
    SCOPED_TRACE(e.model);
    const Shape image{3, e.side, e.side};
    const BuiltModel training(e.model, {}, image, 1000);
    EXPECT_EQ(training.parameters(), e.training);
    ASSERT_EQ(training.output.auxiliary.size(), e.heads);
    for (const auto& [logits, weight] : training.output.auxiliary) {
      EXPECT_EQ(logits.shape(), (Shape{2, 1000}));
      EXPECT_EQ(weight, e.weight);
    }
    const BuiltModel evaluation(e.model, {}, image, 1000, Mode::evaluation);
    EXPECT_EQ(evaluation.parameters(), e.evaluation);
    EXPECT_TRUE(evaluation.output.auxiliary.empty());
    const BuiltModel without(e.model, options({{"auxiliary", false}}), image, 1000);
    EXPECT_EQ(without.parameters(), e.evaluation);
    EXPECT_TRUE(without.output.auxiliary.empty());
  }
}

TEST(DropoutTest, IsInTheGraphWhileTrainingUnlessItIsZero) {
  const auto count = [](std::string_view model, const Setting::Table& options, Mode mode) {
    return BuiltModel(model, options, {3, 64, 64}, 10, mode).graph.find_all("dropout").size();
  };
  EXPECT_EQ(count("alexnet", {}, Mode::training), 2u);
  EXPECT_EQ(count("vgg", {}, Mode::training), 2u);
  EXPECT_EQ(count("googlenet", {}, Mode::training), 3u);
  EXPECT_EQ(count("googlenet", {}, Mode::evaluation), 0u);
  EXPECT_EQ(count("alexnet", options({{"dropout", 0.0}}), Mode::training), 0u);
}

void expect_init(const BuiltModel& model, std::string_view parameter, Init::Kind kind,
                 double value) {
  EXPECT_EQ(model.init(parameter).kind, kind) << parameter;
  EXPECT_DOUBLE_EQ(model.init(parameter).value, value) << parameter;
}

TEST(InitTest, IsTorchvisions) {
  const BuiltModel alexnet("alexnet", {}, {3, 64, 64}, 10);
  expect_init(alexnet, "features.0.weight", Init::uniform_fan_in, 0);
  expect_init(alexnet, "features.0.bias", Init::uniform_fan_in, 3 * 11 * 11);
  expect_init(alexnet, "classifier.6.weight", Init::uniform_fan_in, 4096);

  const BuiltModel vgg("vgg", options({{"batch_norm", true}}), {3, 64, 64}, 10);
  expect_init(vgg, "features.0.weight", Init::he_normal_fan_out, 0);
  expect_init(vgg, "features.0.bias", Init::constant, 0);
  expect_init(vgg, "features.1.weight", Init::constant, 1);
  expect_init(vgg, "classifier.0.weight", Init::normal, 0.01);
  expect_init(vgg, "classifier.0.bias", Init::constant, 0);

  const BuiltModel googlenet("googlenet", {}, {3, 64, 64}, 10);
  expect_init(googlenet, "inception3a.branch2.1.conv.weight", Init::normal, 0.01);
  expect_init(googlenet, "aux1.fc1.weight", Init::normal, 0.01);
  expect_init(googlenet, "aux1.fc1.bias", Init::uniform_fan_in, 2048);

  const BuiltModel inception("inception_v3", {}, {3, 299, 299}, 10);
  expect_init(inception, "Mixed_6b.branch7x7_2.conv.weight", Init::normal, 0.1);
  expect_init(inception, "AuxLogits.fc.weight", Init::normal, 0.001);
  expect_init(inception, "fc.weight", Init::normal, 0.1);
}

const Shape& shape_of(const BuiltModel& model, std::string_view label) {
  const Node* node = model.graph.find("conv2d", label);
  if (node == nullptr) fail(Failure::usage, "no convolution ", label);
  return node->outputs[0].shape;
}

TEST(ResNetOptionsTest, ProjectInEveryStage) {
  const Setting::Table every =
      options({{"depth", int64_t{18}}, {"projection", std::string("every_stage")}});
  const BuiltModel model("resnet", every, {3, 64, 64}, 10);
  EXPECT_EQ(shape_of(model, "layer1.0.downsample.0"), (Shape{2, 64, 16, 16}));
  EXPECT_EQ(model.graph.find("conv2d", "layer1.1.downsample.0"), nullptr);
}

TEST(ResNetOptionsTest, HalveInTheFirstConvolutionOfABottleneck) {
  const BuiltModel model("resnet", options({{"stride_in", std::string("1x1")}}), {3, 64, 64}, 10);
  EXPECT_EQ(shape_of(model, "layer2.0.conv1"), (Shape{2, 128, 8, 8}));
  EXPECT_EQ(shape_of(model, "layer2.0.conv2"), (Shape{2, 128, 8, 8}));
}

TEST(ResNetOptionsTest, AddBiasesToEveryConvolution) {
  const BuiltModel model("resnet", options({{"convolution_bias", true}}), {3, 64, 64}, 10);
  for (const std::string& label : model.names("conv2d")) {
    EXPECT_NE(model.graph.find("parameter", label + ".bias"), nullptr) << label;
  }
}

TEST(ResNetOptionsTest, EndInTheFeatures) {
  const BuiltModel model("resnet", options({{"include_top", false}}), {3, 64, 64}, 10);
  EXPECT_EQ(model.output.logits.shape(), (Shape{2, 2048}));
  EXPECT_EQ(model.graph.find("parameter", "fc.weight"), nullptr);
}

TEST(ResNetOptionsTest, PoolOverWindowsInPlaceOfTheWholeImage) {
  const Setting::Table windows = options({{"depth", int64_t{18}}, {"average_pool", int64_t{7}}});
  EXPECT_EQ(BuiltModel("resnet", windows, {3, 224, 224}, 10).output.features.shape(),
            (Shape{2, 512}));
  EXPECT_EQ(BuiltModel("resnet", windows, {3, 448, 448}, 10).output.features.shape(),
            (Shape{2, 4 * 512}));
}

TEST(ResNetOptionsTest, RefuseGroupsWithoutBottlenecks) {
  const Setting::Table grouped = options({{"depth", int64_t{18}}, {"groups", int64_t{32}}});
  expect_error(
      [&] {
        BuiltModel("resnet", grouped, {3, 64, 64}, 10);
      },
      Failure::usage, "take depth 50, 101 or 152");
}

TEST(SmallImagesTest, AreRefusedWithTheLayerAndTheLeastSize) {
  struct Case {
    const char* model;
    Mode mode;
    int64_t least;
    const char* layer;  // of which an image smaller by one is refused
  };
  for (const Case& c : {Case{"alexnet", Mode::training, 63, "features.10/max_pool2d"},
                        {"vgg", Mode::training, 32, "max_pool2d"},
                        {"googlenet", Mode::evaluation, 15, ""},
                        {"inception_v3", Mode::evaluation, 75, "Mixed_7a"},
                        {"inception_v3", Mode::training, 299, "AuxLogits"}}) {
    SCOPED_TRACE(concat(c.model, ' ', c.least));
    PlanRequest request;
    request.mode = c.mode;
    request.model = [&](Scope s, Value image) {
      return model_registry().find_model(c.model).make(s, image, 10, {});
    };
    const auto build = [&](int64_t height, int64_t width) {
      request.image = {3, height, width};
      return build_graph(request, model_registry().ops());
    };
    EXPECT_NO_THROW(build(c.least, c.least));
    const std::string text = concat("at least ", c.least, " x ", c.least);
    expect_error([&] { build(c.least - 1, 400); }, Failure::usage, text);
    expect_error([&] { build(400, c.least - 1); }, Failure::usage, text);
    expect_error([&] { build(4, 4); }, Failure::usage, text);
    expect_error([&] { build(c.least - 1, c.least - 1); }, Failure::usage, c.layer);
  }
}

TEST(SmallImagesTest, AreNotBlamedForOtherErrors) {
  PlanRequest request;
  request.image = {3, 32, 32};
  request.model = [](Scope s, Value image) { return nn::linear(s / "fc", image, {.out = 10}); };
  try {
    build_graph(request, model_registry().ops());
    FAIL() << "a linear layer took an image";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("at least"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lockstep::testing
