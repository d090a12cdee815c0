// The folder of checkpoints: what is kept, what the links name, and which one a resumed run takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "checkpoint/samples.hpp"
#include "checkpoint/writer.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CheckpointWriterTest : public testing::Test {
 protected:
  // Posts the steps in order; those of `best` as the best so far.
  void write(const std::vector<int64_t>& steps, int64_t keep,
             const std::vector<int64_t>& best = {}) {
    CheckpointWriter writer({.folder = folder_.path(), .keep = keep, .report = {}});
    for (const int64_t step : steps) {
      const bool is_best = std::find(best.begin(), best.end(), step) != best.end();
      writer.post(step, to_bytes(test::sample_checkpoint(step)), is_best);
    }
    writer.wait();
    EXPECT_FALSE(writer.last_failed());
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  void damage(const std::string& name) {
    std::string bytes = read_file(folder_ / name);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    test::write_bytes(folder_ / name, bytes);
  }

  const test::TemporaryFolder folder_;
};

TEST_F(CheckpointWriterTest, NamesFilesByStep) {
  EXPECT_EQ(checkpoint_name(0), "step-00000000.h5");
  EXPECT_EQ(checkpoint_name(390), "step-00000390.h5");
  EXPECT_EQ(checkpoint_name(12345678901), "step-12345678901.h5");
}

TEST_F(CheckpointWriterTest, WritesTheFileAndTheLinks) {
  write({390}, 0, {390});
  EXPECT_THAT(names(), ElementsAre("best.h5", "last.h5", "step-00000390.h5"));
  EXPECT_TRUE(test::equal(load_checkpoint(folder_ / "last.h5"), test::sample_checkpoint(390)));
}

TEST_F(CheckpointWriterTest, LinksAreRelativeSoThatARunFolderCanBeMoved) {
  write({1, 2}, 0, {1});
  EXPECT_EQ(fs::read_symlink(folder_ / "last.h5"), "step-00000002.h5");
  EXPECT_EQ(fs::read_symlink(folder_ / "best.h5"), "step-00000001.h5");
}

TEST_F(CheckpointWriterTest, KeepsAllByDefault) {
  write({1, 2, 3}, 0);
  EXPECT_THAT(names(), SizeIs(4));
}

TEST_F(CheckpointWriterTest, KeepsTheNewestAndTheBest) {
  write({1, 2, 3, 4, 5}, 2, {1, 2});
  EXPECT_THAT(names(), ElementsAre("best.h5", "last.h5", "step-00000002.h5", "step-00000004.h5",
                                   "step-00000005.h5"));
}

TEST_F(CheckpointWriterTest, CountsTheBestAmongTheNewest) {
  write({1, 2, 3}, 2, {3});
  EXPECT_THAT(names(), ElementsAre("best.h5", "last.h5", "step-00000002.h5", "step-00000003.h5"));
}

TEST_F(CheckpointWriterTest, DoesNotCountDamagedOnesAsKept) {
  write({1, 2, 3}, 0);
  damage("step-00000003.h5");
  write({4}, 2);
  EXPECT_THAT(names(), ElementsAre("last.h5", "step-00000002.h5", "step-00000004.h5"));
}

TEST_F(CheckpointWriterTest, LeavesOtherFilesAlone) {
  test::write_bytes(folder_ / "step-notes.h5", "mine");
  test::write_bytes(folder_ / "step-1.h5.bak", "mine");
  write({1, 2, 3}, 1);
  EXPECT_THAT(names(),
              ElementsAre("last.h5", "step-00000003.h5", "step-1.h5.bak", "step-notes.h5"));
}

TEST_F(CheckpointWriterTest, RemovesWhatAKilledRunLeft) {
  test::write_bytes(folder_ / "step-00000001.h5.tmp", "half");
  fs::create_symlink("step-00000001.h5", folder_ / "last.h5.tmp");
  const CheckpointWriter writer({.folder = folder_.path(), .keep = 0, .report = {}});
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(CheckpointWriterTest, ReportsEveryOutcomeInOrder) {
  std::vector<int64_t> steps;
  {
    const auto report = [&](int64_t step, const fs::path& path, const std::string& error,
                            double seconds) {
      EXPECT_EQ(path, folder_ / checkpoint_name(step));
      EXPECT_EQ(error, "");
      EXPECT_GE(seconds, 0);
      steps.push_back(step);
    };
    CheckpointWriter writer({.folder = folder_.path(), .keep = 1, .report = report});
    for (const int64_t step : {1, 2, 3})
      writer.post(step, to_bytes(test::sample_checkpoint(step)), false);
  }
  EXPECT_THAT(steps, ElementsAre(1, 2, 3));
}

TEST_F(CheckpointWriterTest, FindsNothingInAnEmptyOrMissingFolder) {
  EXPECT_EQ(find_newest_sound(folder_.path()).path, "");
  EXPECT_EQ(find_newest_sound(folder_ / "missing").path, "");
}

TEST_F(CheckpointWriterTest, FindsTheNewestByStepNotByName) {
  write({99'999'999, 100'000'000}, 0);
  EXPECT_EQ(find_newest_sound(folder_.path()).path, folder_ / "step-100000000.h5");
}

TEST_F(CheckpointWriterTest, FallsBackToTheNewestSoundOneAndNamesTheDamagedOnes) {
  write({1, 2, 3}, 0);
  damage("step-00000003.h5");
  test::write_bytes(folder_ / "step-00000002.h5",
                    read_file(folder_ / "step-00000002.h5").substr(0, 1000));
  const Found found = find_newest_sound(folder_.path());
  EXPECT_EQ(found.path, folder_ / "step-00000001.h5");
  EXPECT_THAT(found.rejected, ElementsAre(HasSubstr("step-00000003.h5: checksum"),
                                          HasSubstr("step-00000002.h5: length")));
}

TEST_F(CheckpointWriterTest, FindsTheOneWrittenLastAfterARunWentBackToAnEarlierOne) {
  write({100, 500}, 0);
  write({200}, 0);
  EXPECT_EQ(find_newest_sound(folder_.path()).path, folder_ / "step-00000200.h5");
}

TEST_F(CheckpointWriterTest, AfterGoingBackKeepsTheNewCourse) {
  write({100, 500, 600}, 0);
  write({200}, 2);
  EXPECT_THAT(names(), ElementsAre("last.h5", "step-00000100.h5", "step-00000200.h5"));
}

TEST_F(CheckpointWriterTest, ChecksFreeSpaceInTheNearestFolderThatExists) {
  EXPECT_NO_THROW(require_free_space(folder_ / "a/b/c", 1));
  EXPECT_THAT(test::refusal([&] { require_free_space(folder_ / "a/b/c", INT64_MAX); }),
              testing::AllOf(HasSubstr("a/b/c"), HasSubstr("are needed")));
}

}  // namespace
}  // namespace lockstep
