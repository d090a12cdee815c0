// The recipes in recipes/: each is read without an error, and its model takes its images.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "data/open.hpp"
#include "recipe/recipe.hpp"
#include "train/session.hpp"

namespace lockstep::testing {
namespace {

std::vector<std::string> shipped_recipes() {
  const std::filesystem::path root = LOCKSTEP_SOURCE_DIR "/recipes";
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() == ".toml") {
      names.push_back(std::filesystem::relative(entry.path(), root));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ShippedRecipesTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ShippedRecipesTest, IsReadAndItsModelTakesItsImages) {
  Registry registry;
  const Recipe recipe =
      load_recipe(concat(LOCKSTEP_SOURCE_DIR "/recipes/", GetParam()), {}, registry);
  registry.find_schedule(recipe.schedule.name).make(recipe.schedule.options);
  registry.find_optimizer(recipe.optimizer.name).make(recipe.optimizer.options);
  const OpenedData data = open_data(recipe, registry, DataUse::describe);
  PlanRequest request = plan_request(recipe, data, registry);
  const bool names_bf16 = GetParam().ends_with("_bf16.toml");
  EXPECT_EQ(request.precision, names_bf16 ? DType::bf16 : DType::f32);
  for (Mode mode : {Mode::training, Mode::evaluation}) {
    request.mode = mode;
    const Graph graph = build_graph(request, registry.ops());
    const Output* logits = graph.find_output(Role::logits);
    ASSERT_NE(logits, nullptr);
    EXPECT_EQ(graph.type(logits->value).shape, (Shape{1, data.classes}));
    const auto everything = [](std::string_view, const Attributes&) { return true; };
    const Graph transformed = transform_graph(request, registry.ops(), everything);
    EXPECT_EQ(transformed.type(transformed.find_output(Role::logits)->value).dtype, DType::f32);
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, ShippedRecipesTest, ::testing::ValuesIn(shipped_recipes()),
                         [](const auto& info) {
                           std::string name = info.param.substr(0, info.param.size() - 5);
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

}  // namespace
}  // namespace lockstep::testing
