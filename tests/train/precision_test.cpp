// LABELS: mpi
// Trainings with mixed precision by the command: what is refused, fp16's skipped steps in files and
// checkpoints, exact resumption, and several ranks.
#include <cmath>

#include "checkpoint/writer.hpp"
#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;
using test::mpirun_command;

class PrecisionRunTest : public test::TinyRunTest {
 protected:
  bool has(const MpiRun& run, std::string_view text) const {
    return run.output.find(text) != std::string::npos;
  }
  // A run folder stopped after step 6, whose loss scale is so large that gradients overflow.
  void write_overflowing_run(const std::string& name) {
    const MpiRun run = lockstep(
        "train tiny.toml --set train.precision=fp16 --set train.max_steps=6 --output " + name);
    ASSERT_EQ(run.exit_code, 0) << run.output;
    Checkpoint stopped = checkpoint(name);
    stopped.progress.loss_scale = 0x1p20;
    write_file_safely(folder_ / name / "checkpoints" / "step-00000006.h5", to_bytes(stopped));
  }
};

constexpr const char* kFp16 = "train tiny.toml --set train.precision=fp16 ";

TEST_F(PrecisionRunTest, RefusesWhatTheDeviceDoesNotComputeIn) {
  const MpiRun run = lockstep(concat(kFp16, "--set device.name=cpu"));
  EXPECT_EQ(run.exit_code, 2) << run.output;
  EXPECT_TRUE(has(run,
                  "--set train.precision: train.precision is \"fp16\", in which this device "
                  "does not compute (cpu: "))
      << run.output;
  EXPECT_TRUE(has(run, "expected \"fp32\"")) << run.output;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs")) << "nothing was begun";
  const MpiRun old = lockstep("train tiny.toml --set train.precision=bf16 --set device.name=cpu",
                              "ONEDNN_MAX_CPU_ISA=AVX2");
  EXPECT_EQ(old.exit_code, 2) << old.output;
  EXPECT_TRUE(has(old, "avx2")) << old.output;
  EXPECT_TRUE(has(old, "--set train.precision=fp32")) << old.output;
  EXPECT_EQ(lockstep("train tiny.toml --set train.precision=half").exit_code, 2);
}

TEST_F(PrecisionRunTest, TrainsInBf16AndInFp16AsInFp32) {
  ASSERT_EQ(lockstep("train tiny.toml --output fp32").exit_code, 0);
  const std::vector<double> expected = losses("fp32");
  for (const char* precision : {"bf16", "fp16"}) {
    const MpiRun run = lockstep(
        concat("train tiny.toml --set train.precision=", precision, " --output ", precision));
    ASSERT_EQ(run.exit_code, 0) << run.output;
    const std::vector<double> found = losses(precision);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 0.05) << i;
    EXPECT_NE(found, expected);
  }
}

TEST_F(PrecisionRunTest, SkippedStepsAreCountedShownAndKept) {
  write_overflowing_run("run");
  const MpiRun run = lockstep(concat(kFp16, "--output run --resume"));
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const std::vector<Record> steps = metrics("run", Record::step);
  ASSERT_EQ(steps.size(), 12u);
  EXPECT_EQ(steps[6].loss_scale, 0x1p20);
  EXPECT_EQ(steps[6].skipped_steps, 1);
  EXPECT_EQ(steps[7].loss_scale, 0x1p19);
  const Progress last = checkpoint("run").progress;
  EXPECT_EQ(steps.back().skipped_steps, last.skipped_steps);
  EXPECT_GT(last.skipped_steps, 0);
  EXPECT_LT(last.skipped_steps, 6) << "halving found a scale that fits";
  EXPECT_EQ(last.loss_scale, std::ldexp(0x1p20, -static_cast<int>(last.skipped_steps)));
  EXPECT_TRUE(has(run, "skipped, loss scale ")) << run.output;
}

TEST_F(PrecisionRunTest, ResumingIsExactBetweenSkippedSteps) {
  write_overflowing_run("whole");
  std::filesystem::copy(
      folder_ / "whole", folder_ / "parts",
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  ASSERT_EQ(lockstep(concat(kFp16, "--output whole --resume")).exit_code, 0);
  ASSERT_EQ(lockstep(concat(kFp16, "--output parts --resume --set train.max_steps=8")).exit_code,
            0);
  ASSERT_EQ(lockstep(concat(kFp16, "--output parts --resume")).exit_code, 0);
  EXPECT_EQ(losses("parts"), losses("whole"));
  const Checkpoint a = checkpoint("whole"), b = checkpoint("parts");
  expect_equal_state(a, b);
  EXPECT_EQ(a.progress.loss_scale, b.progress.loss_scale);
  EXPECT_EQ(a.progress.steps_at_scale, b.progress.steps_at_scale);
  EXPECT_EQ(a.progress.skipped_steps, b.progress.skipped_steps);
}

TEST_F(PrecisionRunTest, ManySkippedStepsInARowEndTheTraining) {
  const MpiRun run =
      lockstep(concat(kFp16, "--set train.loss_scale=1e38 --set train.epochs=20 --output run"));
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_TRUE(has(run, "not finite for 50 steps in a row, now with a loss scale of 1e+38"))
      << run.output;
}

TEST_F(PrecisionRunTest, RanksSkipTheSameStepsAndEqualOneRank) {
  write_overflowing_run("one");
  std::filesystem::copy(
      folder_ / "one", folder_ / "two",
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  ASSERT_EQ(lockstep(concat(kFp16, "--output one --resume")).exit_code, 0);
  const MpiRun run = lockstep(concat(kFp16, "--output two --resume"), mpirun_command(2));
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const std::vector<Record> one = metrics("one", Record::step), two = metrics("two", Record::step);
  ASSERT_EQ(two.size(), one.size());
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(two[i].skipped_steps, one[i].skipped_steps) << i;
    EXPECT_EQ(two[i].loss_scale, one[i].loss_scale) << i;
    EXPECT_NEAR(*two[i].loss, *one[i].loss, 0.01) << i;
  }
}

TEST_F(PrecisionRunTest, EvaluationUsesThePrecisionOfTheTrainingAndTakesAnother) {
  ASSERT_EQ(lockstep(concat(kFp16, "--output run")).exit_code, 0);
  const double loss = *metrics("run", Record::evaluation).back().loss;
  for (const char* precision : {"fp16", "bf16", "fp32"}) {
    const MpiRun run =
        lockstep(concat("evaluate run/checkpoints/last.h5 --set train.precision=", precision));
    EXPECT_EQ(run.exit_code, 0) << run.output;
    EXPECT_TRUE(has(run, "loss")) << run.output;
  }
  EXPECT_TRUE(std::isfinite(loss));
}

}  // namespace
}  // namespace lockstep
