// What is said of recipes that are refused: the exact words, for people rely on them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recipe/fake_plugins.hpp"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(RecipeErrorTest, UnknownKeysNameTheNearestKnownOne) {
  EXPECT_EQ(refusal(kSmallest + "epocs = 4\n"),
            "r.toml:7:1: found the unknown key \"epocs\" in [train]; expected a known key; "
            "did you mean 'epochs'?");
  EXPECT_EQ(refusal(kSmallest + "[model.depht]\n"),
            "r.toml:7:8: found the unknown key \"depht\" in [model] with name = \"net\"; expected "
            "a known "
            "key; did you mean 'depth'?");
  EXPECT_EQ(
      refusal("sed = 1\n" + kSmallest),
      "r.toml:1:1: found the unknown key \"sed\"; expected a known one; did you mean 'seed'?");
  EXPECT_EQ(refusal(kSmallest + "[optimiser]\nlr = 1\n"),
            "r.toml:7:2: found the unknown section [optimiser]; expected a known one; "
            "did you mean 'optimizer'?");
  EXPECT_EQ(
      refusal(kSmallest, {"train.epohcs=4"}),
      "--set train.epohcs: found the unknown key \"epohcs\" in [train]; expected a known key; "
      "did you mean 'epochs'?");
}

TEST(RecipeErrorTest, AKeyOfAnotherSectionIsPointedHome) {
  EXPECT_EQ(refusal(kSmallest + "lr = 0.1\n"),
            "r.toml:7:1: found the unknown key \"lr\" in [train]; expected it in [optimizer]; "
            "did you mean 'optimizer.lr'?");
  EXPECT_EQ(refusal("epochs = 3\n" + kSmallest),
            "r.toml:1:1: found the unknown key \"epochs\" in no section; expected it in [train]; "
            "did you mean 'train.epochs'?");
}

TEST(RecipeErrorTest, UnknownPluginsAreNamedAtTheirPlace) {
  EXPECT_THAT(refusal("model.name = 'nett'\n"), StartsWith("r.toml:1:14: "));
  EXPECT_THAT(refusal("model.name = 'nett'\n"), HasSubstr("did you mean 'net'?"));
  EXPECT_THAT(refusal(kSmallest, {"optimizer.name=sgdd"}), StartsWith("--set optimizer.name: "));
  EXPECT_THAT(refusal(kSmallest, {"data.eval_transforms=[{name='corp'}]"}),
              HasSubstr("did you mean 'crop'?"));
}

TEST(RecipeErrorTest, WrongTypesAndRangesSayWhatWasExpected) {
  EXPECT_EQ(refusal(kSmallest, {"train.epochs=ten"}),
            "--set train.epochs: found epochs = \"ten\"; expected an integer, at least 1");
  EXPECT_EQ(refusal("seed = -1\n" + kSmallest),
            "r.toml:1:8: found seed = -1; expected an integer between 0 and 9223372036854775807");
  EXPECT_EQ(refusal("seed = 1.5\n" + kSmallest),
            "r.toml:1:8: found seed = 1.5; expected an integer");
  EXPECT_EQ(refusal(kSmallest + "label_smoothing = 1\n"),
            "r.toml:7:19: found label_smoothing = 1; expected at least 0 and less than 1");
  EXPECT_EQ(refusal(kSmallest + "[model.depth]\n"),
            "r.toml:7:1: found depth = {}; expected an integer, 18 or 50");
  EXPECT_EQ(refusal(kSmallest + "[checkpoint]\nbest_metric = \"top2\"\n"),
            "r.toml:8:15: found best_metric = \"top2\"; expected \"top1\", \"top5\" or \"loss\"; "
            "did you mean 'top1'?");
  EXPECT_EQ(refusal("train = 3\n"), "r.toml:1:9: found train = 3; expected a section [train]");
  EXPECT_THAT(refusal("[[model]]\nname = 'net'\n"), HasSubstr("expected a section [model]"));
  EXPECT_THAT(refusal("[seed]\n"), HasSubstr("found seed = {}; expected an integer"));
}

TEST(RecipeErrorTest, NanAndInfinityAreNeverTaken) {
  EXPECT_EQ(refusal(kSmallest + "[optimizer]\nlr = nan\n"),
            "r.toml:8:6: found nan; expected a finite number");
  EXPECT_EQ(refusal(kSmallest, {"optimizer.lr=-inf"}),
            "--set optimizer.lr: found -inf; expected a finite number");
}

TEST(RecipeErrorTest, TransformsAreCheckedLikeSections) {
  EXPECT_EQ(refusal(kSmallest, {"data.train_transforms=[{size=3}]"}),
            "--set data.train_transforms: found a transform without a name; expected one such as "
            "{ name = \"horizontal_flip\" }");
  EXPECT_EQ(
      refusal(kSmallest, {"data.train_transforms=[{name='crop', pading=3}]"}),
      "--set data.train_transforms: found the unknown key \"pading\" in the transform \"crop\"; "
      "expected a known key; did you mean 'padding'?");
  EXPECT_THAT(refusal(kSmallest, {"data.train_transforms=['crop']"}),
              HasSubstr("found \"crop\" in train_transforms; expected a table"));
}

TEST(RecipeErrorTest, MissingPartsAreNamed) {
  EXPECT_EQ(refusal(""), "r.toml: found no name in [model]; expected one of `lockstep list model`");
  EXPECT_EQ(refusal("[model]\nname = 'net'\n[data]\n"),
            "r.toml:3:2: found no name in [data]; expected one of `lockstep list dataset`");
  EXPECT_EQ(
      refusal("model.name = 'net'\ndata.name = 'pictures'\n"),
      "r.toml: found no end of the training; expected train.epochs, max_steps or max_seconds");
}

TEST(RecipeErrorTest, ContradictionsAreFoundBeforeAnythingStarts) {
  EXPECT_EQ(refusal(kSmallest, {"data.mean=[1]"}),
            "--set data.mean: found 1 values in data.mean and 0 in data.std; expected one of each "
            "per channel");
  EXPECT_EQ(refusal(kSmallest, {"data.mean=[0]", "data.std=[0]"}),
            "--set data.std: found 0 in std; expected greater than 0");
  EXPECT_EQ(refusal(kSmallest, {"train.global_batch_size=2", "train.gradient_accumulation=3"}),
            "--set train.gradient_accumulation: found 3 shards for train.global_batch_size = 2; "
            "expected at least one sample in each");
  EXPECT_THAT(
      refusal(kSmallest, {"schedule.milestones=[30, 30]"}),
      StartsWith("--set schedule.milestones: found schedule.milestones that do not ascend"));
  EXPECT_THAT(refusal(kSmallest, {"train.early_stopping_patience=2", "evaluation.every_epochs=0"}),
              HasSubstr("set evaluation.every_epochs = 1"));
}

TEST(RecipeErrorTest, TextThatIsNotTomlHasItsPlace) {
  EXPECT_THAT(refusal("[train]\nepochs = \n"), StartsWith("r.toml:2:"));
  EXPECT_THAT(refusal("seed = 1\nseed = 2\n"), StartsWith("r.toml:2:"));
  EXPECT_THAT(refusal("[train]\n[train]\n"), StartsWith("r.toml:2:"));
  EXPECT_THAT(refusal("seed = 1\nseed.x = 2\n"), StartsWith("r.toml:2:"));
  EXPECT_THAT(refusal("name = \"\xff\"\n"), StartsWith("r.toml:1:"));
  EXPECT_THAT(refusal("seed = 1\n[=]\n"), StartsWith("r.toml:2:2: "));
  EXPECT_THAT(refusal("seed = 2024-01-01\n"), HasSubstr("found a date or time"));
}

TEST(RecipeErrorTest, MalformedSetsAreRefused) {
  for (const std::string set : {"train.epochs", "=3", "train.=3", ".epochs=3", "a..b=3", ""}) {
    EXPECT_THAT(refusal(kSmallest, {set}), HasSubstr("expected key=value")) << set;
  }
  EXPECT_EQ(refusal(kSmallest, {"train.epochs.x=3"}),
            "--set train.epochs.x: found that 'epochs' is 3 (r.toml:6:10); expected a table");
  EXPECT_THAT(refusal(kSmallest, {"data.path=\xff"}), HasSubstr("not UTF-8"));
}

TEST(RecipeErrorTest, HostileNestingIsRefused) {
  std::string dots = "a", brackets = "a = ";
  for (int i = 0; i < 100000; ++i) dots += ".a", brackets += '[';
  EXPECT_THAT(refusal(dots + " = 1"), HasSubstr("dots in a row"));
  EXPECT_THAT(refusal("x = 1\n[" + dots + "]"), StartsWith("r.toml:2: "));
  EXPECT_THAT(refusal(brackets), StartsWith("r.toml:1:"));
  EXPECT_THAT(refusal(kSmallest, {"a={" + dots + "=1}"}), HasSubstr("dots in a row"));
  EXPECT_THAT(refusal(kSmallest, {dots + "=1"}), StartsWith("--set "));
  EXPECT_THAT(refusal(std::string(size_t{2} << 20, '#')),
              HasSubstr("expected a recipe of at most"));
  EXPECT_NE(parse("# " + std::string(200, '.') + "\n" + kSmallest).model.name, "");
}

}  // namespace
}  // namespace lockstep
