#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe/fake_plugins.hpp"
#include "recipe/keys.hpp"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Recipe rich_recipe() {
  return parse(
      kSmallest,
      {"seed=9223372036854775807", "model.depth=18", "optimizer.lr=0.1", "optimizer.momentum=0.3",
       "optimizer.weight_decay=5e-4", "train.max_seconds=1e-7", "data.path=a \"b\"\\c\n\xc3\xa4",
       "data.train_transforms=[{name='crop', padding=4}]", "data.mean=[0.4914, 0.4822, 0.4465]",
       "data.std=[1, 1, 0.333333333333333]", "schedule.milestones=[1, 2.5]"});
}

TEST(ResolvedRecipeTest, HoldsEveryKeyInTheOrderOfDescription) {
  Registry registry = make_fake_registry();
  const std::string text = resolved_text(parse(kSmallest), registry);
  EXPECT_THAT(text, testing::StartsWith("seed = 1\n\n[model]\nname = \"net\"\ndepth = 50\n"
                                        "small_images = false\nwidths = [1.0, 0.5]\n\n[init]\n"));
  EXPECT_THAT(
      text,
      HasSubstr("\n[optimizer]\nname = \"sgd\"\nlr = 0.1\nlr_reference_batch = 0\n"
                "decay_norm_and_bias = true\ngroups = []\nmomentum = 0.9\nweight_decay = 0.0\n"));
  for (const SectionKeys& section : recipe_sections()) {
    for (const std::string& key : framework_keys(section.name)) {
      EXPECT_THAT('\n' + text, HasSubstr('\n' + key + " = "));
    }
  }
}

TEST(ResolvedRecipeTest, ParsesBackToTheSameText) {
  Registry registry = make_fake_registry();
  for (const Recipe& recipe : {parse(kSmallest), rich_recipe()}) {
    const std::string text = resolved_text(recipe, registry);
    const Recipe again = parse_recipe(text, "resolved", {}, registry);
    EXPECT_EQ(resolved_text(again, registry), text);
    EXPECT_THAT(differences(recipe, again, registry), IsEmpty());
    EXPECT_EQ(again.data.path, recipe.data.path);
    EXPECT_EQ(again.train.max_seconds, recipe.train.max_seconds);
    EXPECT_EQ(again.data.std, recipe.data.std);
    EXPECT_EQ(again.seed, recipe.seed);
  }
}

TEST(ResolvedRecipeTest, WritesTransformsWithTheirDefaults) {
  Registry registry = make_fake_registry();
  EXPECT_THAT(resolved_text(rich_recipe(), registry),
              HasSubstr("train_transforms = [{ name = \"crop\", size = 32, padding = 4 }]\n"));
}

TEST(RecipeDifferencesTest, NameTheKeysThatDiffer) {
  Registry registry = make_fake_registry();
  const auto keys = differences(
      parse(kSmallest),
      parse(kSmallest, {"optimizer.momentum=0.8", "seed=2", "schedule.name=cosine"}), registry);
  EXPECT_THAT(keys, ElementsAre("seed", "optimizer.momentum", "schedule.name"));
}

TEST(RecipeDifferencesTest, AWrittenDefaultIsNoDifference) {
  Registry registry = make_fake_registry();
  EXPECT_THAT(differences(parse(kSmallest),
                          parse(kSmallest, {"model.depth=50", "optimizer.lr=0.10"}), registry),
              IsEmpty());
}

TEST(RecipeDifferencesTest, OnlyWhatDoesNotChangeTheResultMayDifferOnResume) {
  for (const char* key :
       {"device.name", "device.threads", "communicator.bucket_mib", "data.workers", "data.path",
        "evaluation.every_epochs", "checkpoint.keep", "train.epochs", "train.max_steps",
        "train.max_seconds", "train.auto_accumulate"}) {
    EXPECT_TRUE(may_differ_on_resume(key)) << key;
  }
  for (const char* key : {"seed", "model.name", "data.shuffle", "data.pathology", "train.epochs_x",
                          "train.global_batch_size", "optimizer.lr", "schedule.gamma"}) {
    EXPECT_FALSE(may_differ_on_resume(key)) << key;
  }
}

}  // namespace
}  // namespace lockstep
