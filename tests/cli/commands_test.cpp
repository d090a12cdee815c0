// The subcommands around training: what they print, and the exit codes of bad input.
#include <nlohmann/json.hpp>

#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using CommandsTest = test::TinyRunTest;
using test::MpiRun;

TEST_F(CommandsTest, ResumeSwallowsNoNeighbour) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=1 --output run").exit_code, 0);
  for (const char* arguments :
       {"train --resume tiny.toml --output run", "train tiny.toml --resume --output run",
        "train --output run tiny.toml --resume", "train --output run --resume tiny.toml",
        "train --resume --output run tiny.toml",
        "train --resume=run/checkpoints/last.h5 tiny.toml --output run",
        "train tiny.toml --output run --resume=run/checkpoints/last.h5"}) {
    const MpiRun run = lockstep(concat(arguments, " --set train.max_steps=1"));
    EXPECT_EQ(run.exit_code, 0) << arguments << "\n" << run.output;
    EXPECT_NE(run.output.find("nothing left to train"), std::string::npos) << arguments << "\n"
                                                                           << run.output;
  }
}

TEST_F(CommandsTest, SetSwallowsNoNeighbour) {
  EXPECT_EQ(lockstep("train --set train.max_steps=0 tiny.toml").exit_code, 0);
  EXPECT_EQ(lockstep("train --set train.max_steps=1 --set train.max_steps=0 tiny.toml --output run")
                .exit_code,
            0);
  EXPECT_EQ(checkpoint("run").progress.step, 0) << "the last one counts";
}

TEST_F(CommandsTest, AFolderInUseIsRefusedWithoutResume) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=0 --output run").exit_code, 0);
  const MpiRun again = lockstep("train tiny.toml --set train.max_steps=0 --output run");
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_NE(again.output.find("--resume"), std::string::npos) << again.output;
}

TEST_F(CommandsTest, QuietPrintsNothingWhenAllIsWell) {
  const MpiRun run = lockstep("train tiny.toml --quiet");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.output, "");
}

TEST_F(CommandsTest, PlainLinesHaveNoEscapes) {
  const MpiRun run = lockstep("train tiny.toml");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.output.find('\x1b'), std::string::npos);
  EXPECT_EQ(run.output.find('\r'), std::string::npos);
  EXPECT_NE(run.output.find("epoch 2/2"), std::string::npos) << run.output;
}

TEST_F(CommandsTest, ExitCodesTellWhatWasWrong) {
  EXPECT_EQ(lockstep("train").exit_code, 2);
  EXPECT_EQ(lockstep("train tiny.toml --bogus").exit_code, 2);
  EXPECT_EQ(lockstep("train none.toml").exit_code, 2);
  EXPECT_EQ(lockstep("train tiny.toml --set train.epochs=no").exit_code, 2);
  EXPECT_EQ(lockstep("train tiny.toml --set model.name=nothing").exit_code, 2);
  EXPECT_EQ(lockstep("train tiny.toml --resume=none.h5").exit_code, 4);
  EXPECT_EQ(lockstep("train tiny.toml --set init.weights=none.h5").exit_code, 4);
  EXPECT_EQ(lockstep("evaluate none.h5").exit_code, 4);
  EXPECT_EQ(lockstep("train tiny.toml --set data.train_size=0").exit_code, 3);
  EXPECT_EQ(lockstep("train tiny.toml --set data.test_size=0").exit_code, 3);
  EXPECT_EQ(lockstep("train tiny.toml --set train.epochs=1 --set data.train_size=1").exit_code, 0);
}

TEST_F(CommandsTest, WeightsOfAnotherModelAreRefusedWithTheirNames) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=0 --output run").exit_code, 0);
  const MpiRun run = lockstep(
      "train tiny.toml --set model.name=cifar_resnet --set model.depth=20 --set "
      "init.weights=run/checkpoints/last.h5");
  EXPECT_EQ(run.exit_code, 4);
  EXPECT_NE(run.output.find("missing"), std::string::npos) << run.output;
  EXPECT_NE(run.output.find("bn1.bias, bn1.running_mean"), std::string::npos) << run.output;
  EXPECT_NE(run.output.find("look like weights of convnet"), std::string::npos) << run.output;
}

TEST_F(CommandsTest, EvaluateRepeatsTheLastEvaluation) {
  ASSERT_EQ(lockstep("train tiny.toml --output run").exit_code, 0);
  const Record trained = metrics("run", Record::evaluation).back();
  const MpiRun run = lockstep("evaluate run/checkpoints/last.h5 --json");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const auto json = nlohmann::json::parse(run.output);
  EXPECT_EQ(json["loss"].get<double>(), trained.loss);
  EXPECT_EQ(json["top1"].get<double>(), trained.top1);
  EXPECT_EQ(json["top5"].get<double>(), trained.top5);
  EXPECT_EQ(json["samples"], 20);
}

TEST_F(CommandsTest, EvaluateTakesCheckpointsWithAuxiliaryHeads) {
  ASSERT_EQ(lockstep("train tiny.toml --set model.name=googlenet --set device.name=cpu "
                     "--set train.max_steps=1 --set data.test_size=4 --output run")
                .exit_code,
            0);
  EXPECT_TRUE(checkpoint("run").parameters.contains("aux1.fc1.weight"));
  const MpiRun run = lockstep("evaluate run/checkpoints/last.h5 --json");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_EQ(nlohmann::json::parse(run.output)["loss"].get<double>(),
            metrics("run", Record::evaluation).back().loss);
}

TEST_F(CommandsTest, ANetworkWithoutItsClassifierIsNotTrained) {
  const MpiRun run = lockstep(
      "train tiny.toml --set model.name=resnet --set model.depth=18 --set model.include_top=false");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.output.find("include_top"), std::string::npos) << run.output;
}

TEST_F(CommandsTest, EvaluateRefusesADamagedCheckpoint) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=0 --output run").exit_code, 0);
  const MpiRun run = shell(
      "truncate -s 2000 run/checkpoints/step-00000000.h5; $L evaluate run/checkpoints/last.h5");
  EXPECT_EQ(run.exit_code, 4) << run.output;
}

TEST_F(CommandsTest, CheckPrintsTheResolvedRecipeAndWhatARankNeeds) {
  const MpiRun run = lockstep("check tiny.toml");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  for (const char* text : {"global_batch_size = 8", "44 training and 20 test samples", "parameters",
                           "activations", "checkpoint"}) {
    EXPECT_NE(run.output.find(text), std::string::npos) << text << " in\n" << run.output;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs")) << "check writes nothing";
}

TEST_F(CommandsTest, CheckWorksWithoutTheDataAndSaysSo) {
  const std::string recipes = std::string(LOCKSTEP_SOURCE_DIR) + "/recipes/";
  const MpiRun run =
      lockstep("check " + recipes + "mnist/convnet.toml --json --set data.path=nowhere");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const auto json = nlohmann::json::parse(run.output);
  EXPECT_EQ(json["data"]["there"], false);
  EXPECT_GT(json["checkpoint_bytes"], 4 * json["parameters"].get<int64_t>());
}

}  // namespace
}  // namespace lockstep
