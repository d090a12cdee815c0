// lockstep export: files of a small training run.
#include <gmock/gmock.h>

#include "train/tiny_run.hpp"
#include "weights/weights.hpp"

namespace lockstep {
namespace {

using ExportTest = test::TinyRunTest;
using test::MpiRun;
using ::testing::HasSubstr;

TEST_F(ExportTest, WritesTheWeightsBesideTheCheckpointOrWhereAsked) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=1 --output run").exit_code, 0);
  const MpiRun beside = lockstep("export run/checkpoints/last.h5 --format safetensors");
  ASSERT_EQ(beside.exit_code, 0) << beside.output;
  EXPECT_THAT(beside.output, HasSubstr("run/checkpoints/last.safetensors"));
  ASSERT_EQ(lockstep("export run/checkpoints/last.h5 --format pth --output w.pt").exit_code, 0);

  const Weights original = read_weights(folder_ / "run" / "checkpoints" / "last.h5");
  for (const auto& path :
       {folder_ / "run" / "checkpoints" / "last.safetensors", folder_ / "w.pt"}) {
    const Weights read = read_weights(path);
    for (const auto& [name, tensor] : original.tensors) {
      ASSERT_TRUE(read.tensors.contains(name)) << path << ' ' << name;
      EXPECT_EQ(read.tensors.at(name).floats(), tensor.floats()) << path << ' ' << name;
    }
  }
}

TEST_F(ExportTest, WritesTheNetworkAsOnnx) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=0 --output run").exit_code, 0);
  const MpiRun run = lockstep("export run/checkpoints/last.h5 --format onnx --output net.onnx");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(text_of("net.onnx"), HasSubstr("logits"));
}

TEST_F(ExportTest, RefusesWhatIsWrongAndLeavesNothing) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=0 --output run").exit_code, 0);
  EXPECT_EQ(lockstep("export run/checkpoints/last.h5").exit_code, 2);
  EXPECT_EQ(lockstep("export run/checkpoints/last.h5 --format keras").exit_code, 2);
  EXPECT_EQ(lockstep("export none.h5 --format pth").exit_code, 4);
  const MpiRun full = lockstep("export run/checkpoints/last.h5 --format pth --output w.pth",
                               "LOCKSTEP_FILE_FAULT=write:1+:ENOSPC");
  EXPECT_EQ(full.exit_code, 4);
  EXPECT_THAT(full.output, HasSubstr("No space left"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "w.pth"));
}

}  // namespace
}  // namespace lockstep
