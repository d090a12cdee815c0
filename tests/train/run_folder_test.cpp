#include "train/run_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/writer.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;

// Each test works in a folder of its own, since runs/ is relative to the working directory.
class RunFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    fs::current_path(folder_.path());
  }
  void TearDown() override { fs::current_path(before_); }

  static void write_checkpoint(const fs::path& folder, int64_t step) {
    fs::create_directories(folder);
    Checkpoint checkpoint;
    checkpoint.progress.step = step;
    write_file_safely(folder / checkpoint_name(step), to_bytes(checkpoint));
  }
  static void damage(const fs::path& file) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(700);
    stream.put('\x7f').put('\x7f').put('\x7f');
  }

 private:
  test::TemporaryFolder folder_;
  fs::path before_;
};

TEST(RunNameTest, IsTheRecipesNameAndItsFolder) {
  EXPECT_EQ(run_name("recipes/quickstart.toml", "/home/user"), "quickstart");
  EXPECT_EQ(run_name("recipes/cifar10/resnet18.toml", "/home/user"), "cifar10-resnet18");
  EXPECT_EQ(run_name("mine.toml", "/home/user"), "mine");
  EXPECT_EQ(run_name("./mine.toml", "/home/user"), "mine");
  EXPECT_EQ(run_name("/home/user/recipes/cifar10/resnet18.toml", "/home/user"), "cifar10-resnet18");
  EXPECT_EQ(run_name("/elsewhere/mine.toml", "/home/user"), "elsewhere-mine");
}

TEST_F(RunFolderTest, NumbersRunsFromOne) {
  EXPECT_EQ(begin_run({.recipe = "recipes/a/b.toml"}).folder, "runs/a-b/001");
  EXPECT_EQ(begin_run({.recipe = "recipes/a/b.toml"}).folder, "runs/a-b/002");
  EXPECT_EQ(begin_run({.recipe = "recipes/b.toml"}).folder, "runs/b/001");
}

TEST_F(RunFolderTest, CountsOnAfterTheHighestNumberAndPastAThousand) {
  fs::create_directories("runs/b/999");
  fs::create_directories("runs/b/notes");
  EXPECT_EQ(begin_run({.recipe = "recipes/b.toml"}).folder, "runs/b/1000");
  EXPECT_EQ(newest_numbered_folder("runs/b"), "runs/b/1000");
}

TEST_F(RunFolderTest, TakesTheOutputFolderItselfWhenItIsNewOrEmpty) {
  fs::create_directories("empty");
  EXPECT_EQ(begin_run({.recipe = "b.toml", .output = "empty"}).folder, "empty");
  EXPECT_EQ(begin_run({.recipe = "b.toml", .output = "new/one"}).folder, "new/one");
  EXPECT_TRUE(fs::is_directory("new/one/checkpoints"));
}

TEST_F(RunFolderTest, RefusesAnOutputFolderInUseWithoutResume) {
  fs::create_directories("used/something");
  expect_error([] { begin_run({.recipe = "b.toml", .output = "used"}); }, Failure::usage,
               "--resume");
  EXPECT_EQ(begin_run({.recipe = "b.toml", .output = "used", .resume = true}).folder, "used");
}

TEST_F(RunFolderTest, ResumesTheNewestCheckpointOfTheNewestRun) {
  write_checkpoint("runs/b/001/checkpoints", 90);
  write_checkpoint("runs/b/002/checkpoints", 10);
  write_checkpoint("runs/b/002/checkpoints", 20);
  const RunStart start = begin_run({.recipe = "recipes/b.toml", .resume = true});
  EXPECT_EQ(start.folder, "runs/b/002");
  EXPECT_EQ(start.checkpoint.filename(), "step-00000020.h5");
  EXPECT_TRUE(start.warnings.empty());
}

TEST_F(RunFolderTest, FallsBackToTheNewestSoundCheckpointAndSaysSo) {
  write_checkpoint("run/checkpoints", 10);
  write_checkpoint("run/checkpoints", 20);
  damage("run/checkpoints/step-00000020.h5");
  const RunStart start = begin_run({.recipe = "b.toml", .output = "run", .resume = true});
  EXPECT_EQ(start.checkpoint.filename(), "step-00000010.h5");
  ASSERT_EQ(start.warnings.size(), 1u);
  EXPECT_NE(start.warnings[0].find("step-00000020.h5"), std::string::npos) << start.warnings[0];
}

TEST_F(RunFolderTest, StartsFromTheBeginningAndSaysSoWhereThereIsNoCheckpoint) {
  const RunStart none = begin_run({.recipe = "recipes/b.toml", .resume = true});
  EXPECT_EQ(none.folder, "runs/b/001");
  EXPECT_TRUE(none.checkpoint.empty());
  ASSERT_EQ(none.warnings.size(), 1u);
  EXPECT_NE(none.warnings[0].find("from the beginning"), std::string::npos);

  const RunStart again = begin_run({.recipe = "recipes/b.toml", .resume = true});
  EXPECT_EQ(again.folder, "runs/b/001") << "a requeued job goes on in its folder";
}

TEST_F(RunFolderTest, GoesOnInTheRunOfTheCheckpointThatIsGiven) {
  write_checkpoint("runs/b/001/checkpoints", 10);
  write_checkpoint("runs/b/002/checkpoints", 20);
  const fs::path path = "runs/b/001/checkpoints/step-00000010.h5";
  const RunStart start =
      begin_run({.recipe = "recipes/b.toml", .resume = true, .resume_from = path});
  EXPECT_TRUE(fs::equivalent(start.folder, "runs/b/001"));
  EXPECT_EQ(start.checkpoint, path);
  EXPECT_EQ(
      begin_run(
          {.recipe = "recipes/b.toml", .output = "other", .resume = true, .resume_from = path})
          .folder,
      "other");
}

TEST_F(RunFolderTest, StartsANewRunFromACheckpointThatLiesElsewhere) {
  write_checkpoint("kept", 10);
  const RunStart start = begin_run(
      {.recipe = "recipes/b.toml", .resume = true, .resume_from = "kept/step-00000010.h5"});
  EXPECT_EQ(start.folder, "runs/b/001");
}

TEST_F(RunFolderTest, RefusesAGivenCheckpointThatDoesNotLoad) {
  expect_error([] { begin_run({.recipe = "b.toml", .resume = true, .resume_from = "none.h5"}); },
               Failure::checkpoint, "none.h5");
  fs::create_directories("run/checkpoints");
  expect_error([] { begin_run({.recipe = "b.toml", .resume = true, .resume_from = "run"}); },
               Failure::checkpoint, "no sound checkpoint");
}

}  // namespace
}  // namespace lockstep
