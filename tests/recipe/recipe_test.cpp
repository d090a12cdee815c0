#include "recipe/recipe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "recipe/fake_plugins.hpp"
#include "recipe/keys.hpp"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(RecipeTest, TheSmallestRecipeHasTheDocumentedDefaults) {
  const Recipe r = parse(kSmallest);
  EXPECT_EQ(r.seed, 1u);
  EXPECT_EQ(r.model.name, "net");
  EXPECT_TRUE(r.model.options.empty());
  EXPECT_EQ(r.init.scheme, "he");
  EXPECT_EQ(r.data.name, "pictures");
  EXPECT_TRUE(r.data.shuffle);
  EXPECT_EQ(r.data.workers, -1);
  EXPECT_EQ(r.train.epochs, 3);
  EXPECT_EQ(r.train.max_steps, -1);
  EXPECT_EQ(r.train.global_batch_size, 128);
  EXPECT_EQ(r.optimizer.name, "sgd");
  EXPECT_TRUE(r.optimizer.decay_norm_and_bias);
  EXPECT_EQ(r.schedule.name, "constant");
  EXPECT_EQ(r.schedule.gamma, 0.1);
  EXPECT_EQ(r.evaluation.every_epochs, 1);
  EXPECT_EQ(r.checkpoint.best_metric, "top1");
  EXPECT_EQ(r.device.name, "auto");
  EXPECT_EQ(r.communicator.name, "auto");
  EXPECT_EQ(r.communicator.bucket_mib, 25);
}

TEST(RecipeTest, ReadsEverySectionAndLeavesPluginOptionsToThePlugin) {
  const Recipe r = parse(R"(
seed = 7
[model]
name = "net"
depth = 18
[init]
scheme = "normal"
std = 0.02
[data]
name = "pictures"
samples = 5
mean = [0.5, 1]
std = [0.25, 0.25]
train_transforms = [ { name = "crop", padding = 4 }, { name = "crop" } ]
[train]
max_seconds = 60
global_batch_size = 256
[optimizer]
name = "sgd"
lr = 1
momentum = 0.5
[schedule]
name = "cosine"
warmup_epochs = 5
milestones = [30, 60]
)");
  EXPECT_EQ(r.seed, 7u);
  ASSERT_EQ(r.model.options.size(), 1u);
  EXPECT_EQ(r.model.options[0].key, "depth");
  EXPECT_EQ(r.model.options[0].value.where, "r.toml:5:9");
  EXPECT_EQ(r.init.std, 0.02);
  EXPECT_THAT(r.data.mean, ElementsAre(0.5, 1));
  ASSERT_EQ(r.data.train_transforms.size(), 2u);
  EXPECT_EQ(r.data.train_transforms[0].name, "crop");
  EXPECT_EQ(r.data.train_transforms[0].options[0].key, "padding");
  EXPECT_EQ(r.data.train_transforms[1].where, "r.toml:14:54");
  EXPECT_EQ(r.train.max_seconds, 60);
  EXPECT_EQ(r.optimizer.lr, 1);
  EXPECT_EQ(r.optimizer.options[0].key, "momentum");
  EXPECT_EQ(r.schedule.warmup_epochs, 5);
  EXPECT_THAT(r.schedule.milestones, ElementsAre(30, 60));
}

TEST(RecipeTest, DottedKeysAndInlineTablesAreSectionsToo) {
  const Recipe r = parse("model.name = 'net'\ndata = { name = 'pictures' }\ntrain.max_steps = 0\n");
  EXPECT_EQ(r.model.name, "net");
  EXPECT_EQ(r.train.max_steps, 0);
}

TEST(RecipeTest, SetsOverrideAndAddKeys) {
  const Recipe r =
      parse(kSmallest,
            {"train.epochs=5", "train.epochs = 6", "optimizer.lr=1e-3",
             "data.path=/data/my pictures", "data.shuffle=false", "data.mean=[0.5]", "data.std=[1]",
             "seed=3", "init.weights=", "checkpoint.best_metric=loss", "model.depth=18"});
  EXPECT_EQ(r.train.epochs, 6);
  EXPECT_EQ(r.optimizer.lr, 1e-3);
  EXPECT_EQ(r.data.path, "/data/my pictures");
  EXPECT_FALSE(r.data.shuffle);
  EXPECT_THAT(r.data.mean, ElementsAre(0.5));
  EXPECT_EQ(r.seed, 3u);
  EXPECT_EQ(r.init.weights, "");
  EXPECT_EQ(r.checkpoint.best_metric, "loss");
  EXPECT_EQ(r.model.options[0].where, "--set model.depth");
}

TEST(RecipeTest, KnowsThePlaceOfEveryValue) {
  const Recipe r = parse(kSmallest, {"train.max_steps=9"});
  EXPECT_EQ(r.place("train.epochs"), "r.toml:6:10");
  EXPECT_EQ(r.place("train.max_steps"), "--set train.max_steps");
  EXPECT_EQ(r.place("train.profile"), "r.toml:5:2");
  EXPECT_EQ(r.place("optimizer.lr"), "r.toml");
}

TEST(RecipeTest, IsReadFromAFile) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) /
                                     ("recipe-test-" + std::to_string(getpid()) + ".toml");
  std::ofstream(path) << kSmallest;
  Registry registry = make_fake_registry();
  EXPECT_EQ(load_recipe(path.string(), {}, registry).origin, path.string());
  std::filesystem::remove(path);
  for (const std::string& missing : {path.string(), testing::TempDir()}) {
    try {
      load_recipe(missing, {}, registry);
      FAIL() << "read";
    } catch (const Error& error) {
      EXPECT_EQ(error.failure(), Failure::usage);
      EXPECT_THAT(error.what(), HasSubstr("expected a recipe file"));
    }
  }
}

TEST(RecipeKeysTest, AreListedBySection) {
  EXPECT_THAT(framework_keys(""), ElementsAre("seed"));
  EXPECT_THAT(framework_keys("init"),
              ElementsAre("weights", "strict", "replace_head", "scheme", "std"));
  EXPECT_THAT(framework_keys("schedule"), ElementsAre("name", "warmup_epochs", "step_epochs",
                                                      "milestones", "gamma", "final_lr"));
  EXPECT_THAT(framework_keys("transform"), ElementsAre("name"));
  EXPECT_TRUE(framework_keys("nothing").empty());
}

TEST(RecipeKeysTest, AllHaveAMeaning) {
  for (const SectionKeys& section : recipe_sections()) {
    for (const OptionTable* table : section.tables) {
      for (const OptionSpec& spec : table->specs()) EXPECT_NE(spec.help, "") << spec.name;
    }
  }
}

}  // namespace
}  // namespace lockstep
