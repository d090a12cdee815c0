// Files of weights that do not fit are told by the names and shapes of their tensors.
#include "train/likely_model.hpp"

#include <gtest/gtest.h>

#include "plan/plan.hpp"

namespace lockstep::testing {
namespace {

Setting::Entry option(std::string name, Setting::Value value) {
  return {std::move(name), "test", {std::move(value), "test"}};
}
Setting::Entry widths(const std::vector<int64_t>& numbers) {
  Setting::Array array;
  for (int64_t number : numbers) array.push_back({number, "test"});
  return option("widths", std::move(array));
}

struct Case {
  std::string name;
  std::string model;
  Setting::Table options;
  Shape image;
  std::string likely;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class LikelyModelTest : public ::testing::TestWithParam<Case> {
 protected:
  // What a file of the model would hold: names and shapes, for nobody looks at the numbers.
  Weights weights_of(const Case& c) {
    PlanRequest request;
    request.image = c.image;
    request.model = [&](Scope scope, Value x) {
      return registry_.find_model(c.model).make(std::move(scope), x, 1000, c.options);
    };
    const Graph graph = build_graph(request, registry_.ops());
    Weights weights;
    for (const char* op : {"parameter", "buffer"}) {
      for (int32_t number : graph.find_all(op)) {
        const Node& node = graph.nodes()[static_cast<size_t>(number)];
        weights.tensors[node.label].shape = node.outputs[0].shape;
      }
    }
    return weights;
  }

  Registry registry_;
};

TEST_P(LikelyModelTest, NamesModelAndOptions) {
  EXPECT_EQ(likely_model(weights_of(GetParam()), registry_), GetParam().likely);
}

// A model of torchvision's, at the image it is for.
Case resnet(std::string name, std::string likely, Setting::Table options) {
  return {std::move(name), "resnet", std::move(options), {3, 224, 224}, "resnet with " + likely};
}

const std::vector<Case>& cases() {
  static const std::vector<Case> cases = {
      resnet("resnet18", "model.depth = 18", {option("depth", int64_t{18})}),
      resnet("resnet152", "model.depth = 152", {option("depth", int64_t{152})}),
      resnet("resnext50_32x4d", "model.depth = 50, model.groups = 32, model.width_per_group = 4",
             {option("groups", int64_t{32}), option("width_per_group", int64_t{4})}),
      resnet("resnext101_32x8d", "model.depth = 101, model.groups = 32, model.width_per_group = 8",
             {option("depth", int64_t{101}), option("groups", int64_t{32}),
              option("width_per_group", int64_t{8})}),
      resnet("wide_resnet50_2", "model.depth = 50, model.width_per_group = 128",
             {option("width_per_group", int64_t{128})}),
      resnet("wide_resnet101_2", "model.depth = 101, model.width_per_group = 128",
             {option("depth", int64_t{101}), option("width_per_group", int64_t{128})}),
      resnet("resnet34_of_other_widths", "model.depth = 34, model.widths = [128, 256, 512, 512]",
             {option("depth", int64_t{34}), widths({128, 256, 512, 512})}),
      resnet("resnet18_projected", "model.depth = 18, model.projection = \"every_stage\"",
             {option("depth", int64_t{18}), option("projection", std::string("every_stage"))}),
      {"cifar_resnet56",
       "cifar_resnet",
       {option("depth", int64_t{56})},
       {3, 32, 32},
       "cifar_resnet with model.depth = 56"},
      {"vgg16_bn",
       "vgg",
       {option("batch_norm", true)},
       {3, 224, 224},
       "vgg with model.depth = 16, model.batch_norm = true"},
      {"googlenet", "googlenet", {}, {3, 224, 224}, "googlenet"},
      {"inception_v3", "inception_v3", {}, {3, 299, 299}, "inception_v3"},
      {"inception_v3_without_head",
       "inception_v3",
       {option("auxiliary", false)},
       {3, 299, 299},
       "inception_v3 with model.auxiliary = false"},
      {"alexnet", "alexnet", {}, {3, 224, 224}, "alexnet"},
      {"convnet", "convnet", {}, {1, 28, 28}, "convnet"},
  };
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, LikelyModelTest, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST_F(LikelyModelTest, NamesNothingForWeightsOfNoModel) {
  Weights weights = weights_of(cases().front());
  Weights renamed;
  for (auto& [name, tensor] : weights.tensors) renamed.tensors["encoder." + name] = tensor;
  EXPECT_EQ(likely_model(renamed, registry_), "");
}

}  // namespace
}  // namespace lockstep::testing
