// Trainings on folders of photographs of which some are damaged, and on unequally large classes.
#include <cstdio>

#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;
namespace fs = std::filesystem;

class BadSamplesRunTest : public test::TinyRunTest {
 protected:
  // Nine pictures of each of two classes to train on, two to evaluate on.
  BadSamplesRunTest() {
    write_recipe("photos.toml", R"(
[model]
name = "convnet"
[data]
name = "image_folder"
path = "photos"
train_transforms = [ { name = "random_resized_crop", size = 32 }, { name = "color_jitter", brightness = 0.4, hue = 0.1 } ]
eval_transforms = [ { name = "resize", size = 32 }, { name = "center_crop", size = 32 } ]
[train]
epochs = 2
global_batch_size = 6
[optimizer]
lr = 0.01
[device]
name = "reference"
)");
    for (const char* name : {"ant", "bee"}) {
      for (int i = 1; i <= 9; ++i) add("train", name, i);
      for (int i = 1; i <= 2; ++i) add("val", name, i);
    }
  }

  fs::path path_of(const char* split, const char* name, int number) const {
    return folder_ / concat("photos/", split, "/", name, "/", number, ".jpg");
  }
  void add(const char* split, const char* name, int number) {
    const fs::path path = path_of(split, name, number);
    fs::create_directories(path.parent_path());
    fs::copy_file(LOCKSTEP_SOURCE_DIR "/tests/goldens/pictures/420.jpg", path);
  }
  void truncate(const char* split, const char* name, int number) {
    fs::resize_file(path_of(split, name, number), 600);
  }
  static bool has(const MpiRun& run, std::string_view text) {
    return run.output.find(text) != std::string::npos;
  }
};

TEST_F(BadSamplesRunTest, ATruncatedPictureEndsTheRunWithItsName) {
  truncate("train", "bee", 4);
  const MpiRun run = lockstep("train photos.toml");
  EXPECT_EQ(run.exit_code, 3) << run.output;
  EXPECT_TRUE(has(run, "photos/train/bee/4.jpg: truncated JPEG")) << run.output;
}

TEST_F(BadSamplesRunTest, SkippingItFinishesAndCountsTheOthers) {
  truncate("train", "bee", 4);
  truncate("val", "ant", 1);
  const MpiRun run =
      lockstep("train photos.toml --set data.on_bad_sample=skip --output run --set data.workers=2");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_TRUE(has(run, "left out a bad sample: photos/train/bee/4.jpg: truncated JPEG"))
      << run.output;
  EXPECT_TRUE(has(run, "left out 2 bad samples")) << run.output;
  for (const Record& epoch : metrics("run", Record::epoch)) EXPECT_EQ(epoch.samples, 17);
  for (const Record& evaluation : metrics("run", Record::evaluation))
    EXPECT_EQ(evaluation.samples, 3);
}

TEST_F(BadSamplesRunTest, AStepOfBadSamplesAloneHasNoLoss) {
  for (int i = 1; i <= 6; ++i) truncate("train", "ant", i);
  const MpiRun run = lockstep(
      "train photos.toml --set data.on_bad_sample=skip --set data.shuffle=false "
      "--set train.epochs=1 --output run");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const std::vector<Record> steps = metrics("run", Record::step);
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_FALSE(steps[0].loss.has_value());
  EXPECT_EQ(steps[0].samples, 0);
  EXPECT_TRUE(steps[1].loss.has_value());
  EXPECT_TRUE(metrics("run", Record::epoch).at(0).loss.has_value());
}

TEST_F(BadSamplesRunTest, MoreThanTheQuotaEndTheRun) {
  for (int i : {2, 5, 7}) truncate("train", "ant", i);
  const MpiRun run =
      lockstep("train photos.toml --set data.on_bad_sample=skip --set data.max_bad_samples=2");
  EXPECT_EQ(run.exit_code, 3) << run.output;
  EXPECT_TRUE(has(run, "3 samples cannot be read; expected at most 2")) << run.output;
  for (int i : {2, 5, 7}) EXPECT_TRUE(has(run, concat("ant/", i, ".jpg"))) << run.output;
}

TEST_F(BadSamplesRunTest, AResumedRunMaySkipWhatEndedIt) {
  truncate("val", "ant", 1);
  ASSERT_EQ(lockstep("train photos.toml --output run --set train.max_steps=1 "
                     "--set checkpoint.every_steps=1 --set data.on_bad_sample=skip")
                .exit_code,
            0);
  EXPECT_EQ(lockstep("train photos.toml --output run --resume").exit_code, 3);
  const MpiRun run =
      lockstep("train photos.toml --output run --resume --set data.on_bad_sample=skip");
  EXPECT_EQ(run.exit_code, 0) << run.output;
}

TEST_F(BadSamplesRunTest, EvaluationOfBadSamplesAloneIsAnError) {
  for (const char* name : {"ant", "bee"}) {
    for (int i = 1; i <= 2; ++i) truncate("val", name, i);
  }
  const MpiRun run = lockstep("train photos.toml --set data.on_bad_sample=skip");
  EXPECT_EQ(run.exit_code, 3) << run.output;
  EXPECT_TRUE(has(run, "none of 4 samples can be read")) << run.output;
}

// With a rate of 0 every step has the initial weights: with all samples in one step, the loss is
// the mean over the samples, weighted so that both classes weigh the same.
TEST_F(BadSamplesRunTest, BalancedClassWeightsChangeTheLossAlone) {
  for (int i = 1; i <= 8; ++i) fs::remove(path_of("train", "ant", i));
  const std::string arguments =
      "train photos.toml --set optimizer.lr=0 --set train.epochs=1 "
      "--set train.global_batch_size=10 --set data.class_weights=";
  ASSERT_EQ(lockstep(arguments + "none --output plain").exit_code, 0);
  ASSERT_EQ(lockstep(arguments + "balanced --output balanced").exit_code, 0);
  const Record plain = metrics("plain", Record::step).at(0);
  const Record balanced = metrics("balanced", Record::step).at(0);
  EXPECT_EQ(plain.top1, balanced.top1);
  EXPECT_EQ(plain.samples, 10);
  EXPECT_EQ(balanced.samples, 10);
  EXPECT_NE(*plain.loss, *balanced.loss);
  EXPECT_EQ(*metrics("plain", Record::evaluation).at(0).loss,
            *metrics("balanced", Record::evaluation).at(0).loss)
      << "evaluation has no weights";
}

// Features are computed once, in batches of their own; what training sees of it is the same.
class CachedFeaturesTest : public BadSamplesRunTest {
 protected:
  void expect_equal_training(const std::string& sets) {
    const std::string arguments =
        "train photos.toml --set model.name=cifar_resnet --set 'data.train_transforms=[{name = "
        "\"resize\", size = 32}, {name = \"center_crop\", size = 32}]' --set "
        "'train.freeze=[\"*\", \"!linear\"]' --set train.epochs=1 " +
        sets;
    const MpiRun cached = lockstep(arguments + " --set data.cache_features=true --output cached");
    ASSERT_EQ(cached.exit_code, 0) << cached.output;
    cached_output_ = cached.output;
    const MpiRun run = lockstep(arguments + " --output plain");
    ASSERT_EQ(run.exit_code, 0) << run.output;
    const std::vector<double> a = losses("cached"), b = losses("plain");
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5 * b[i]) << i;
    EXPECT_EQ(metrics("cached", Record::evaluation).back().samples,
              metrics("plain", Record::evaluation).back().samples);
  }
  std::string cached_output_;
};

TEST_F(CachedFeaturesTest, LeavesOutBadSamples) {
  truncate("train", "bee", 4);
  truncate("val", "ant", 1);
  expect_equal_training("--set data.on_bad_sample=skip");
  EXPECT_NE(cached_output_.find("left out 2 bad samples"), std::string::npos) << cached_output_;
  const size_t first = cached_output_.find("photos/train/bee/4.jpg: truncated JPEG");
  ASSERT_NE(first, std::string::npos) << cached_output_;
  EXPECT_EQ(cached_output_.find("photos/train/bee/4.jpg", first + 1), std::string::npos)
      << "warned of once: " << cached_output_;
}

TEST_F(CachedFeaturesTest, WeighsClassesAlike) {
  for (int i = 1; i <= 8; ++i) fs::remove(path_of("train", "ant", i));
  expect_equal_training("--set data.class_weights=balanced");
  EXPECT_EQ(cached_output_.find("no training samples"), std::string::npos) << cached_output_;
}

}  // namespace
}  // namespace lockstep
