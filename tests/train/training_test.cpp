// Whole trainings of one rank by the command, from the recipe to the run folder.
#include <limits>

#include "checkpoint/writer.hpp"
#include "support/expect_error.hpp"
#include "train/checkpoints.hpp"
#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using TrainingTest = test::TinyRunTest;
using test::MpiRun;

TEST_F(TrainingTest, WritesARunFolder) {
  const MpiRun run = lockstep("train tiny.toml");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const std::string at = "runs/tiny/001";
  for (const char* name :
       {"recipe.toml", "environment.json", "metrics.jsonl", "metrics.csv", "log/rank-0000.log",
        "checkpoints/step-00000006.h5", "checkpoints/step-00000012.h5", "checkpoints/last.h5",
        "checkpoints/best.h5"}) {
    EXPECT_TRUE(std::filesystem::exists(folder_ / (at + "/" + name))) << name;
  }
  EXPECT_EQ(checkpoint(at).progress.step, 12);
  EXPECT_EQ(checkpoint(at).progress.epoch, 3) << "the next one to begin";
}

TEST_F(TrainingTest, CountsStepsSamplesAndEpochsFromOne) {
  ASSERT_EQ(lockstep("train tiny.toml").exit_code, 0);
  const std::vector<Record> steps = metrics("runs/tiny/001", Record::step);
  ASSERT_EQ(steps.size(), 12u);
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].step_number, static_cast<int64_t>(i + 1));
    EXPECT_EQ(steps[i].epoch_number, i < 6 ? 1 : 2);
    EXPECT_EQ(steps[i].samples, i % 6 == 5 ? 4 : 8) << "the last step has what remains";
  }
  EXPECT_EQ(metrics("runs/tiny/001", Record::epoch).size(), 2u);
  const std::vector<Record> evaluations = metrics("runs/tiny/001", Record::evaluation);
  ASSERT_EQ(evaluations.size(), 2u);
  EXPECT_EQ(evaluations[0].samples, 20);
  EXPECT_EQ(evaluations[0].split, "test");
}

TEST_F(TrainingTest, RatesWarmUpAndFollowTheSchedule) {
  ASSERT_EQ(lockstep("train tiny.toml").exit_code, 0);
  const std::vector<Record> steps = metrics("runs/tiny/001", Record::step);
  EXPECT_DOUBLE_EQ(*steps[0].lr, 0.05 / 3);
  EXPECT_DOUBLE_EQ(*steps[2].lr, 0.05);
  EXPECT_LT(*steps[11].lr, *steps[6].lr);
}

TEST_F(TrainingTest, DropLastLeavesOutThePartialStep) {
  ASSERT_EQ(lockstep("train tiny.toml --set data.drop_last=true --output out").exit_code, 0);
  EXPECT_EQ(metrics("out", Record::step).size(), 10u);
}

TEST_F(TrainingTest, MaxStepsEndsInTheMiddleOfAnEpochThenEvaluatesAndSaves) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=8 --output out").exit_code, 0);
  EXPECT_EQ(metrics("out", Record::step).size(), 8u);
  EXPECT_EQ(metrics("out", Record::evaluation).back().step_number, 8);
  EXPECT_EQ(checkpoint("out").progress.samples_in_epoch, 16);
}

TEST_F(TrainingTest, MaxStepsZeroSavesTheInitialParameters) {
  const MpiRun run = lockstep("train tiny.toml --set train.max_steps=0 --output out");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_TRUE(losses("out").empty());
  const Checkpoint initial = checkpoint("out", checkpoint_name(0));
  EXPECT_EQ(initial.progress.step, 0);
  EXPECT_FALSE(initial.parameters.empty());
}

TEST_F(TrainingTest, MaxSecondsEndsTheTraining) {
  const MpiRun run = lockstep(
      "train tiny.toml --set train.epochs=100000 --set train.max_seconds=0.2 --output out");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_LT(metrics("out", Record::step).size(), 100000u);
  EXPECT_EQ(metrics("out", Record::evaluation).back().step_number, checkpoint("out").progress.step);
}

TEST_F(TrainingTest, TheSameRecipeGivesTheSameBits) {
  ASSERT_EQ(lockstep("train tiny.toml --output a").exit_code, 0);
  ASSERT_EQ(lockstep("train tiny.toml --output b --set data.workers=3").exit_code, 0);
  EXPECT_EQ(losses("a"), losses("b"));
  expect_equal_state(checkpoint("a"), checkpoint("b"));
}

TEST_F(TrainingTest, AResumedTrainingEqualsAnUninterruptedOneBitForBit) {
  ASSERT_EQ(lockstep("train tiny.toml --output whole").exit_code, 0);
  for (const int stop : {3, 6, 8}) {  // within the first epoch, at its end, within the second
    const std::string run = concat("stopped", stop);
    ASSERT_EQ(lockstep(concat("train tiny.toml --output ", run, " --set train.max_steps=", stop))
                  .exit_code,
              0);
    const MpiRun resumed = lockstep(concat("train tiny.toml --resume --output ", run));
    ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
    EXPECT_EQ(losses(run), losses("whole")) << "stopped after step " << stop;
    expect_equal_state(checkpoint(run), checkpoint("whole"));
    const Record epoch = metrics(run, Record::epoch).back();
    EXPECT_EQ(epoch.loss, metrics("whole", Record::epoch).back().loss);
    EXPECT_EQ(epoch.samples, 44);
  }
}

TEST_F(TrainingTest, ATrainingKilledWhileSavingGoesOnFromTheCheckpointBefore) {
  ASSERT_EQ(lockstep("train tiny.toml --output whole").exit_code, 0);
  const MpiRun killed = lockstep("train tiny.toml --output run --set checkpoint.every_steps=2",
                                 "LOCKSTEP_FILE_FAULT=rename:9:kill");
  ASSERT_NE(killed.exit_code, 0) << killed.output;
  const MpiRun resumed =
      lockstep("train tiny.toml --output run --set checkpoint.every_steps=2 --resume");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_EQ(losses("run"), losses("whole"));
  expect_equal_state(checkpoint("run"), checkpoint("whole"));
}

TEST_F(TrainingTest, ADamagedCheckpointIsPassedOverAndSaid) {
  ASSERT_EQ(lockstep("train tiny.toml --output run --set checkpoint.every_steps=4").exit_code, 0);
  const MpiRun resumed = shell(
      "truncate -s 3000 run/checkpoints/step-00000012.h5; "
      "$L train tiny.toml --output run --set checkpoint.every_steps=4 --resume");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_NE(resumed.output.find("step-00000012.h5"), std::string::npos) << resumed.output;
  EXPECT_NE(resumed.output.find("step 8"), std::string::npos) << resumed.output;
  EXPECT_EQ(losses("run").size(), 12u);
  EXPECT_EQ(checkpoint("run").progress.step, 12);
}

TEST_F(TrainingTest, AFinishedTrainingHasNothingLeftToDo) {
  ASSERT_EQ(lockstep("train tiny.toml").exit_code, 0);
  const std::vector<Record> before = metrics("runs/tiny/001");
  const MpiRun again = lockstep("train tiny.toml --resume");
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE(again.output.find("nothing left to train"), std::string::npos) << again.output;
  EXPECT_EQ(metrics("runs/tiny/001"), before);
}

TEST_F(TrainingTest, ATrainingWhoseTimeIsUpHasNothingLeftToDo) {
  const std::string limits = " --set train.epochs=100000 --set train.max_seconds=0.2";
  ASSERT_EQ(lockstep("train tiny.toml --output run" + limits).exit_code, 0);
  const size_t steps = losses("run").size();
  ASSERT_EQ(lockstep("train tiny.toml --output run --resume" + limits).exit_code, 0);
  EXPECT_EQ(losses("run").size(), steps);
}

TEST_F(TrainingTest, MoreEpochsMayBeAddedToAFinishedTraining) {
  ASSERT_EQ(lockstep("train tiny.toml").exit_code, 0);
  ASSERT_EQ(lockstep("train tiny.toml --resume --set train.epochs=3").exit_code, 0);
  EXPECT_EQ(losses("runs/tiny/001").size(), 18u);
}

TEST_F(TrainingTest, ResumeRefusesAnotherRecipeAndNamesTheKey) {
  ASSERT_EQ(lockstep("train tiny.toml --output run").exit_code, 0);
  const MpiRun run = lockstep("train tiny.toml --output run --resume --set optimizer.lr=0.1");
  EXPECT_EQ(run.exit_code, 2) << run.output;
  EXPECT_NE(run.output.find("optimizer.lr"), std::string::npos) << run.output;
}

TEST_F(TrainingTest, ASignalSavesAndExitsWith75AndTheTrainingGoesOn) {
  const std::string many = "--set train.epochs=1000";
  ASSERT_EQ(lockstep("train tiny.toml --output whole --set train.max_steps=40 " + many).exit_code,
            0);
  for (const char* signal : {"USR1", "TERM", "INT"}) {
    const MpiRun stopped = shell(concat(
        "rm -rf run; $L train tiny.toml --quiet --output run ", many,
        " & p=$!; while [ $(wc -l < run/metrics.csv || echo 0) -lt 4 ]; do sleep 0.02; done; "
        "kill -",
        signal, " $p; wait $p"));
    ASSERT_EQ(stopped.exit_code, 75) << stopped.output;
    const int64_t step = checkpoint("run").progress.step;
    EXPECT_EQ(metrics("run", Record::step).back().step_number, step)
        << "the step of the signal is the last one";

    const int64_t end = std::max<int64_t>(step + 3, 40);
    ASSERT_EQ(lockstep(concat("train tiny.toml --resume --output run --set train.max_steps=", end,
                              " ", many))
                  .exit_code,
              0);
    std::vector<double> expected = losses("whole");
    std::vector<double> found = losses("run");
    found.resize(expected.size());
    EXPECT_EQ(found, expected);
  }
}

TEST_F(TrainingTest, GradientAccumulationOfAModelWithoutBatchNormChangesNothingButRounding) {
  ASSERT_EQ(lockstep("train tiny.toml --output one").exit_code, 0);
  ASSERT_EQ(
      lockstep("train tiny.toml --output three --set train.gradient_accumulation=3").exit_code, 0);
  const std::vector<double> one = losses("one");
  const std::vector<double> three = losses("three");
  ASSERT_EQ(one.size(), three.size());
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(three[i], one[i], 1e-4) << "step " << i + 1;
}

TEST_F(TrainingTest, ADivergedTrainingNamesTheStepAndKeepsTheLastCheckpoint) {
  const MpiRun run = lockstep(
      "train tiny.toml --output run --set checkpoint.every_steps=1 --set optimizer.lr=1e30 "
      "--set schedule.warmup_epochs=0");
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_NE(run.output.find("of epoch 1: the loss is"), std::string::npos) << run.output;
  EXPECT_EQ(checkpoint("run").progress.step, 1);
}

TEST_F(TrainingTest, WhatIsNotFiniteIsNeitherSavedNorLoaded) {
  ASSERT_EQ(lockstep("train tiny.toml --output run --set train.epochs=1 --set "
                     "checkpoint.every_steps=3")
                .exit_code,
            0);
  Checkpoint lost = checkpoint("run");
  std::vector<float>& values = lost.parameters.begin()->second.values;
  values[0] = std::numeric_limits<float>::infinity();
  const std::string name = "'" + lost.parameters.begin()->first + "' is not finite";
  Checkpoints checkpoints(folder_ / "run", 3);
  testing::expect_error([&] { checkpoints.save(lost, false); }, Failure::other, name);
  EXPECT_EQ(checkpoint("run").progress.step, lost.progress.step) << "the one of before stays";

  std::ofstream(folder_ / "lost.h5") << to_bytes(lost);
  const MpiRun resumed = lockstep("train tiny.toml --output again --resume=lost.h5");
  EXPECT_EQ(resumed.exit_code, 4) << resumed.output;
  EXPECT_NE(resumed.output.find(name), std::string::npos) << resumed.output;
  for (const char* command : {"evaluate lost.h5", "export lost.h5 --format safetensors"}) {
    const MpiRun refused = lockstep(command);
    EXPECT_EQ(refused.exit_code, 4) << refused.output;
    EXPECT_NE(refused.output.find(name), std::string::npos) << refused.output;
  }

  std::filesystem::rename(folder_ / "lost.h5", folder_ / "run/checkpoints/step-00000006.h5");
  const MpiRun newest = lockstep("train tiny.toml --output run --resume");
  EXPECT_EQ(newest.exit_code, 0) << newest.output;
  EXPECT_NE(newest.output.find("step-00000006.h5: parameter " + name), std::string::npos)
      << newest.output;
  EXPECT_NE(newest.output.find("going on from run/checkpoints/step-00000003.h5"), std::string::npos)
      << newest.output;
}

TEST_F(TrainingTest, EarlyStoppingEndsATrainingWithoutGain) {
  const MpiRun run = lockstep(
      "train tiny.toml --output run --set train.epochs=50 --set train.early_stopping_patience=2 "
      "--set optimizer.lr=0 --set checkpoint.best_metric=loss");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_EQ(metrics("run", Record::epoch).size(), 3u)
      << "the first evaluation is a gain, two more are not";
  EXPECT_NE(run.output.find("stopped early"), std::string::npos) << run.output;
}

TEST_F(TrainingTest, TheBestCheckpointIsChosenOnTheValidationSetAndTheTestSetComesLast) {
  const MpiRun run = lockstep("train tiny.toml --output run --set data.validation_fraction=0.25");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const std::vector<Record> evaluations = metrics("run", Record::evaluation);
  ASSERT_EQ(evaluations.size(), 3u);
  EXPECT_EQ(evaluations[0].split, "validation");
  EXPECT_EQ(evaluations[0].samples, 11);
  EXPECT_EQ(evaluations[2].split, "test");
  const Checkpoint best = checkpoint("run", "best.h5");
  EXPECT_EQ(best.progress.best_metric, std::max(*evaluations[0].top1, *evaluations[1].top1));
}

TEST_F(TrainingTest, InitialWeightsComeFromACheckpoint) {
  ASSERT_EQ(lockstep("train tiny.toml --output first").exit_code, 0);
  const MpiRun run = lockstep(
      "train tiny.toml --output second --set train.max_steps=0 --set "
      "init.weights=first/checkpoints/last.h5");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  expect_equal_tensors(checkpoint("second").parameters, checkpoint("first").parameters);
}

TEST_F(TrainingTest, AFullDiskIsSaidLoudlyAndTrainingGoesOn) {
  const MpiRun run = lockstep("train tiny.toml --output run --set checkpoint.every_steps=2",
                              "LOCKSTEP_FILE_FAULT=write:7:ENOSPC");
  EXPECT_NE(run.output.find("NOT saved"), std::string::npos) << run.output;
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_EQ(losses("run").size(), 12u);
  EXPECT_EQ(checkpoint("run").progress.step, 12);
}

TEST_F(TrainingTest, TheDiskIsAskedForRoomBeforeTheFirstStep) {
  const MpiRun run = lockstep("train tiny.toml --output run", "LOCKSTEP_FILE_FAULT=statvfs:1:EIO");
  EXPECT_EQ(run.exit_code, 4) << run.output;
  EXPECT_NE(run.output.find("run/checkpoints"), std::string::npos) << run.output;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/metrics.jsonl"));
}

TEST_F(TrainingTest, AProfileSumsUpTheLaunchesOfTrainingStepsAlone) {
  const MpiRun run = lockstep("train tiny.toml --set train.profile=true --set train.max_steps=3");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_NE(run.output.find("3 steps of"), std::string::npos) << run.output;
  EXPECT_EQ(run.output.find("overhead -"), std::string::npos)
      << "evaluation was counted: " << run.output;
}

}  // namespace
}  // namespace lockstep
