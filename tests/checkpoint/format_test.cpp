// The bytes of a checkpoint: what is put in comes out, equal states give equal files, other
// programs read them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <limits>

#include "checkpoint/samples.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

using test::equal;
using test::refusal;
using test::sample_checkpoint;
using test::TemporaryFolder;
using testing::HasSubstr;

Checkpoint through_file(const Checkpoint& checkpoint) {
  const TemporaryFolder folder;
  test::write_bytes(folder / "a.h5", to_bytes(checkpoint));
  return load_checkpoint(folder / "a.h5");
}

TEST(CheckpointFormatTest, GivesBackAllThatWasPutIn) {
  const Checkpoint checkpoint = sample_checkpoint(390);
  EXPECT_TRUE(equal(through_file(checkpoint), checkpoint));
}

TEST(CheckpointFormatTest, GivesBackAnEmptyCheckpoint) {
  Checkpoint checkpoint;
  checkpoint.parameters["nothing"] = {{0, 3}, {}};
  EXPECT_TRUE(equal(through_file(checkpoint), checkpoint));
}

TEST(CheckpointFormatTest, HoldsTheLossScaleWhereThereIsOne) {
  Checkpoint checkpoint = sample_checkpoint(390);
  const std::string without = to_bytes(checkpoint);
  checkpoint.progress.loss_scale = 32768;
  checkpoint.progress.steps_at_scale = 389;
  checkpoint.progress.skipped_steps = 1;
  const Progress progress = through_file(checkpoint).progress;
  EXPECT_EQ(progress.loss_scale, 32768);
  EXPECT_EQ(progress.steps_at_scale, 389);
  EXPECT_EQ(progress.skipped_steps, 1);
  EXPECT_EQ(without.find("loss_scale"), std::string::npos) << "files of other trainings stay";
  checkpoint.progress.loss_scale = -1;
  EXPECT_THAT(refusal([&] { through_file(checkpoint); }), HasSubstr("loss_scale of /progress: is"));
}

TEST(CheckpointFormatTest, KeepsEveryBitOfUnusualNumbers) {
  using Limits = std::numeric_limits<float>;
  Checkpoint checkpoint;
  checkpoint.parameters["w"] = {
      {5}, {-0.0f, Limits::infinity(), Limits::denorm_min(), Limits::max(), Limits::lowest()}};
  checkpoint.parameters["nan"] = {{1}, {Limits::quiet_NaN()}};
  const Checkpoint loaded = through_file(checkpoint);
  EXPECT_TRUE(equal(loaded.parameters.at("w"), checkpoint.parameters.at("w")));
  EXPECT_TRUE(std::signbit(loaded.parameters.at("w").values[0]));
  EXPECT_TRUE(std::isnan(loaded.parameters.at("nan").values[0]));
}

TEST(CheckpointFormatTest, GivesEqualBytesForEqualStates) {
  const std::string first = to_bytes(sample_checkpoint(390));
  // Memory with other content, and time going by, must leave no trace.
  for (int i = 0; i < 64; ++i) std::string(static_cast<size_t>(1000 * i), static_cast<char>(i));
  to_bytes(sample_checkpoint(7));
  timespec more_than_a_second{1, 100'000'000};
  nanosleep(&more_than_a_second, nullptr);
  EXPECT_EQ(to_bytes(sample_checkpoint(390)), first);
  EXPECT_NE(to_bytes(sample_checkpoint(391)), first);
}

TEST(CheckpointFormatTest, KeepsManyTensorsOfManySizes) {
  Checkpoint checkpoint;
  for (int i = 0; i < 500; ++i) {
    checkpoint.parameters[concat("layer", i, ".weight")] =
        test::ramp({i % 7 + 1, 3}, static_cast<float>(i));
  }
  EXPECT_TRUE(equal(through_file(checkpoint), checkpoint));
}

TEST(CheckpointFormatTest, ReadsTheHeaderWithoutTensors) {
  const TemporaryFolder folder;
  const Checkpoint checkpoint = sample_checkpoint(390);
  test::write_bytes(folder / "a.h5", to_bytes(checkpoint));
  const Checkpoint header = load_checkpoint_header(folder / "a.h5");
  EXPECT_EQ(header.progress.step, 390);
  EXPECT_EQ(header.recipe, checkpoint.recipe);
  EXPECT_EQ(header.classes, checkpoint.classes);
  EXPECT_TRUE(header.parameters.empty());
}

TEST(CheckpointFormatTest, RefusesNamesThatHdf5WouldTakeForPaths) {
  for (const char* name : {"a/b", "", "."}) {
    Checkpoint checkpoint;
    checkpoint.parameters[name] = test::ramp({1}, 0);
    EXPECT_THAT(refusal([&] { to_bytes(checkpoint); }), HasSubstr("names without slashes")) << name;
    Checkpoint with_slot;
    with_slot.optimizer[name];
    EXPECT_THAT(refusal([&] { to_bytes(with_slot); }), HasSubstr("names without slashes")) << name;
  }
}

// LOCKSTEP_REWRITE_GOLDENS=1 writes the file anew.
TEST(CheckpointFormatTest, ReadsTheSampleFileOfVersion1) {
  const std::filesystem::path path =
      std::string(LOCKSTEP_SOURCE_DIR) + "/tests/checkpoint/data/format-1.h5";
  if (std::getenv("LOCKSTEP_REWRITE_GOLDENS") != nullptr)
    test::write_bytes(path, to_bytes(sample_checkpoint(390)));
  EXPECT_TRUE(equal(load_checkpoint(path), sample_checkpoint(390)));
}

TEST(CheckpointFormatTest, IsReadByH5dump) {
  if (std::system("h5dump --version > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "h5dump (hdf5-tools) is not installed";
  const TemporaryFolder folder;
  const std::string file = (folder / "a.h5").string();
  test::write_bytes(file, to_bytes(sample_checkpoint(390)));
  const auto dump = [&](const std::string& options) {
    const std::string out = (folder / "out").string();
    EXPECT_EQ(std::system(("h5dump " + options + " " + file + " > " + out + " 2>&1").c_str()), 0);
    return read_file(out);
  };
  EXPECT_THAT(dump("-d /parameters/fc.bias"), HasSubstr("(0): -0.5, -0.25"));
  EXPECT_THAT(dump("-d /optimizer/velocity/conv1.weight"), HasSubstr("( 4, 3, 3, 3 )"));
  EXPECT_THAT(dump("-d /classes"), HasSubstr("cat"));
  EXPECT_THAT(dump("-a /progress/step"), HasSubstr("(0): 390"));
  EXPECT_THAT(dump("-B -H"), HasSubstr("USERBLOCK_SIZE 512"));
}

}  // namespace
}  // namespace lockstep
