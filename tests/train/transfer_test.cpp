// LABELS: threads
// Transfer learning: initial weights, a new head, frozen layers, groups of rates, cached features.
#include <cmath>

#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;

class TransferTest : public test::TinyRunTest {
 protected:
  TransferTest() {
    write_recipe("source.toml", text(4, ""));
    write_recipe("five.toml", text(5, ""));
    write_recipe("head.toml", text(5, "freeze = [\"*\", \"!linear\"]\n"));
  }

  static std::string text(int classes, const std::string& train) {
    return "seed = 5\n[model]\nname = \"cifar_resnet\"\n[data]\nname = \"shapes\"\n"
           "train_size = 24\ntest_size = 12\nclasses = " +
           std::to_string(classes) + "\n[train]\nepochs = 1\nglobal_batch_size = 8\n" + train +
           "[optimizer]\nlr = 0.05\nmomentum = 0.9\n";
  }

  // photos.toml, of a folder with a picture in each of these folders of classes.
  void write_photographs(const std::vector<std::string>& folders) {
    for (const std::string& name : folders) {
      const std::filesystem::path folder = folder_ / "photos" / name;
      std::filesystem::create_directories(folder);
      std::filesystem::copy(LOCKSTEP_SOURCE_DIR "/tests/goldens/pictures/rgb8.png",
                            folder / "1.png");
    }
    const std::string crop = "[{ name = \"center_crop\", size = 32 }]\n";
    write_recipe("photos.toml",
                 "[model]\nname = \"cifar_resnet\"\n[data]\nname = \"image_folder\"\n"
                 "path = \"photos\"\ntrain_transforms = " +
                     crop + "eval_transforms = " + crop +
                     "[train]\nmax_steps = 1\nglobal_batch_size = 2\n");
  }

  MpiRun train(const std::string& recipe, const std::string& output, const std::string& more = "") {
    return lockstep("train " + recipe + " --output " + output + " " + more);
  }
  std::string source() {
    const MpiRun run = train("source.toml", "source");
    EXPECT_EQ(run.exit_code, 0) << run.output;
    return "--set init.weights=source/checkpoints/last.h5 ";
  }
};

TEST_F(TransferTest, OtherClassesGetANewHeadAndTheRestIsTaken) {
  const MpiRun run = train("five.toml", "five", source() + "--set train.max_steps=0");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_NE(run.output.find("linear.weight (4, 64) -> (5, 64)"), std::string::npos) << run.output;
  const Checkpoint before = checkpoint("source"), after = checkpoint("five");
  EXPECT_EQ(after.parameters.at("layer1.0.conv1.weight").values,
            before.parameters.at("layer1.0.conv1.weight").values);
  EXPECT_EQ(after.buffers.at("bn1.running_var").values,
            before.buffers.at("bn1.running_var").values);
  EXPECT_EQ(after.parameters.at("linear.weight").shape, (Shape{5, 64}));
}

TEST_F(TransferTest, AsManyOtherClassesKeepTheHeadWithAWarning) {
  const std::string weights = source();
  write_photographs({"train/a", "train/b", "train/c", "train/d", "val/a"});
  const MpiRun run = train("photos.toml", "run", weights + "--set train.max_steps=0");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_NE(run.output.find("the head is kept"), std::string::npos) << run.output;
  const MpiRun same = train("source.toml", "same", weights + "--set train.max_steps=0");
  EXPECT_EQ(same.output.find("the head is kept"), std::string::npos) << same.output;
}

TEST_F(TransferTest, ARunIsNotResumedOnOtherClasses) {
  write_photographs({"train/a", "train/b", "val/a"});
  ASSERT_EQ(train("photos.toml", "run").exit_code, 0);
  std::filesystem::rename(folder_ / "photos/train/b", folder_ / "photos/train/0");
  const MpiRun resumed = train("photos.toml", "run", "--resume --set train.max_steps=2");
  EXPECT_EQ(resumed.exit_code, 3) << resumed.output;
  EXPECT_NE(resumed.output.find("are not those of"), std::string::npos) << resumed.output;
}

TEST_F(TransferTest, AskedForAHeadIsReplacedEvenWhereItFits) {
  const std::string weights = source();
  const std::string first_step = "--set train.max_steps=0";
  ASSERT_EQ(train("source.toml", "kept", weights + first_step).exit_code, 0);
  ASSERT_EQ(train("source.toml", "drawn", weights + first_step + " --set init.replace_head=true")
                .exit_code,
            0);
  const auto head = [&](const char* run) {
    return checkpoint(run).parameters.at("linear.weight").values;
  };
  EXPECT_EQ(head("kept"), head("source"));
  EXPECT_NE(head("drawn"), head("source"));
}

TEST_F(TransferTest, WeightsOfAnotherModelAreRefusedWithATableUnlessLoose) {
  const std::string weights = source();
  const std::string deeper = weights + "--set model.depth=32 --set train.max_steps=0";
  const MpiRun strict = train("source.toml", "strict", deeper);
  EXPECT_EQ(strict.exit_code, 4) << strict.output;
  EXPECT_NE(strict.output.find("layer1.3.bn1.bias"), std::string::npos) << strict.output;
  EXPECT_NE(strict.output.find("does not fit the model"), std::string::npos) << strict.output;
  EXPECT_NE(strict.output.find("model.depth = 20"), std::string::npos)
      << "the likeliest model is named: " << strict.output;
  EXPECT_EQ(train("source.toml", "loose", deeper + " --set init.strict=false").exit_code, 0);
}

TEST_F(TransferTest, AuxiliaryHeadsMayBeAbsentOnEitherSide) {
  write_recipe("googlenet.toml",
               "[model]\nname = \"googlenet\"\n[data]\nname = \"shapes\"\ntrain_size = 4\n"
               "test_size = 2\n[train]\nmax_steps = 0\nglobal_batch_size = 4\n");
  const std::string without = "--set model.auxiliary=false ";
  const auto weights = [](const char* run) {
    return concat("--set init.weights=", run, "/checkpoints/last.h5 ");
  };
  ASSERT_EQ(train("googlenet.toml", "with").exit_code, 0);
  const MpiRun dropped = train("googlenet.toml", "without", without + weights("with"));
  ASSERT_EQ(dropped.exit_code, 0) << dropped.output;
  EXPECT_NE(dropped.output.find("not needed"), std::string::npos) << dropped.output;
  const MpiRun drawn = train("googlenet.toml", "again", weights("without"));
  ASSERT_EQ(drawn.exit_code, 0) << drawn.output;
  EXPECT_EQ(checkpoint("again").parameters.at("conv1.conv.weight").values,
            checkpoint("with").parameters.at("conv1.conv.weight").values);
  EXPECT_TRUE(checkpoint("again").parameters.contains("aux1.fc1.weight"));
}

TEST_F(TransferTest, FrozenLayersStayAsTheyWereWithTheirStatistics) {
  const MpiRun run = train("head.toml", "head", source());
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const Checkpoint before = checkpoint("source"), after = checkpoint("head");
  for (const auto& [name, tensor] : after.parameters) {
    if (name.starts_with("linear")) continue;
    EXPECT_EQ(tensor.values, before.parameters.at(name).values) << name;
  }
  expect_equal_tensors(after.buffers, before.buffers);
  EXPECT_EQ(after.optimizer.at("velocity").size(), 2u) << "only the head has a velocity";
}

TEST_F(TransferTest, CachedFeaturesTrainTheSameHead) {
  const std::string weights = source();
  ASSERT_EQ(train("head.toml", "plain", weights).exit_code, 0);
  const MpiRun run = train("head.toml", "cached", weights + "--set data.cache_features=true");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_NE(run.output.find("features of 36 pictures"), std::string::npos) << run.output;
  const std::vector<double> plain = losses("plain"), cached = losses("cached");
  ASSERT_EQ(plain.size(), cached.size());
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(cached[i], plain[i], 1e-4);
}

TEST_F(TransferTest, RanksShareTheWorkOfCachedFeatures) {
  const std::string weights = source() + "--set data.cache_features=true";
  ASSERT_EQ(train("head.toml", "one", weights).exit_code, 0);
  const MpiRun two = lockstep("train head.toml --output two " + weights, test::mpirun_command(2));
  ASSERT_EQ(two.exit_code, 0) << two.output;
  const std::vector<double> a = losses("one"), b = losses("two");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4);
}

TEST_F(TransferTest, FeaturesThatChangeAreNotCached) {
  const MpiRun run = train("five.toml", "run", "--set data.cache_features=true");
  EXPECT_EQ(run.exit_code, 2) << run.output;
  EXPECT_NE(run.output.find("add it to train.freeze"), std::string::npos) << run.output;
  const MpiRun random = train("head.toml", "run",
                              "--set data.cache_features=true --set "
                              "'data.train_transforms=[{name=\"horizontal_flip\"}]'");
  EXPECT_EQ(random.exit_code, 2) << random.output;
  EXPECT_NE(random.output.find("each picture is looked at once"), std::string::npos)
      << random.output;
}

TEST_F(TransferTest, PatternsThatNameNothingAreRefused) {
  const MpiRun run = train("five.toml", "run", "--set 'train.freeze=[\"layer5\"]'");
  EXPECT_EQ(run.exit_code, 2) << run.output;
  EXPECT_NE(run.output.find("\"layer5\" names no parameter"), std::string::npos) << run.output;
  const MpiRun all = train("five.toml", "run", "--set 'train.freeze=[\"*\"]'");
  EXPECT_EQ(all.exit_code, 2) << all.output;
  EXPECT_NE(all.output.find("names every parameter"), std::string::npos) << all.output;
}

TEST_F(TransferTest, AGroupWithoutARateDoesNotMove) {
  ASSERT_EQ(train("five.toml", "begin", "--set train.max_steps=0").exit_code, 0);
  write_recipe(
      "groups.toml",
      text(5, "") + "[[optimizer.groups]]\nparameters = [\"layer1\"]\nlr_multiplier = 0\n");
  ASSERT_EQ(train("groups.toml", "groups").exit_code, 0);
  const Checkpoint begin = checkpoint("begin"), end = checkpoint("groups");
  const auto moved = [&](const char* name) {
    return begin.parameters.at(name).values != end.parameters.at(name).values;
  };
  EXPECT_FALSE(moved("layer1.0.conv1.weight"));
  EXPECT_TRUE(moved("layer2.0.conv1.weight"));
}

}  // namespace
}  // namespace lockstep
