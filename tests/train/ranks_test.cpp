// LABELS: mpi
// Whole trainings of several ranks, started by mpirun.
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/dataset_files.hpp"
#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;
using test::mpirun_command;

class RanksTest : public test::TinyRunTest {
 protected:
  RanksTest() {
    // A network with batch norm, in float32 by blocked kernels: the sums differ in order between
    // numbers of ranks.
    write_recipe("norm.toml", R"(
seed = 3
[model]
name = "cifar_resnet"
depth = 20
[data]
name = "shapes"
train_size = 160
test_size = 31
[train]
epochs = 1
global_batch_size = 32
sync_batch_norm = true
[optimizer]
name = "sgd"
lr = 0.001
[device]
threads = 1
)");
  }

  MpiRun on_ranks(int ranks, const std::string& arguments) const {
    return lockstep(arguments, ranks == 1 ? "OMP_NUM_THREADS=1" : mpirun_command(ranks));
  }

  // Losses of float32 sums in another order drift apart with the steps; at this rate slowly.
  static constexpr double kTolerance = 1e-3;
};

TEST_F(RanksTest, TwoAndThreeRanksEqualOneRankOnTheSameGlobalBatch) {
  ASSERT_EQ(on_ranks(1, "train norm.toml --output run1").exit_code, 0);
  const std::vector<double> expected = losses("run1");
  ASSERT_EQ(expected.size(), 5u);
  for (const int ranks : {2, 3}) {
    const std::string name = concat("run", ranks);
    const MpiRun run = on_ranks(ranks, "train norm.toml --output " + name);
    ASSERT_EQ(run.exit_code, 0) << run.output;
    const std::vector<double> found = losses(name);
    ASSERT_EQ(found.size(), expected.size());
    EXPECT_NEAR(found[0], expected[0], 1e-5) << ranks << " ranks, first step";
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], kTolerance) << ranks << " ranks";
    const Record one = metrics("run1", Record::evaluation).back();
    const Record several = metrics(name, Record::evaluation).back();
    EXPECT_EQ(several.samples, 31) << "each sample counts once";
    EXPECT_NEAR(*several.loss, *one.loss, kTolerance);
    const Checkpoint a = checkpoint("run1");
    const Checkpoint b = checkpoint(name);
    for (const auto& [buffer, tensor] : a.buffers) {
      const std::vector<float>& other = b.buffers.at(buffer).values;
      for (size_t i = 0; i < other.size(); ++i) {
        ASSERT_NEAR(other[i], tensor.values[i], 1e-3 * (1 + std::abs(tensor.values[i]))) << buffer;
      }
    }
  }
}

TEST_F(RanksTest, GradientsCompressedToBf16TrainNearlyTheSameAndAlikeOnAllRanks) {
  ASSERT_EQ(on_ranks(2, "train norm.toml --output whole").exit_code, 0);
  const MpiRun run =
      on_ranks(2, "train norm.toml --output half --set communicator.compression=bf16");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const std::vector<double> whole = losses("whole");
  const std::vector<double> half = losses("half");
  ASSERT_EQ(half.size(), whole.size());
  EXPECT_EQ(half[0], whole[0]) << "before the first update";
  EXPECT_NE(half.back(), whole.back()) << "nothing was rounded";
  for (size_t i = 0; i < half.size(); ++i) EXPECT_NEAR(half[i], whole[i], 0.01) << i;
}

TEST_F(RanksTest, UnevenSlicesAndAccumulationEqualOneRank) {
  const std::string batch =
      " --set data.train_size=140 --set train.global_batch_size=128 --set device.name=cpu";
  ASSERT_EQ(on_ranks(1, "train tiny.toml --output one" + batch).exit_code, 0);
  const MpiRun three = on_ranks(3, "train tiny.toml --output three" + batch);
  ASSERT_EQ(three.exit_code, 0) << three.output;
  const MpiRun accumulated = on_ranks(
      2, "train tiny.toml --output accumulated --set train.gradient_accumulation=3" + batch);
  ASSERT_EQ(accumulated.exit_code, 0) << accumulated.output;
  const std::vector<double> expected = losses("one");
  for (const char* name : {"three", "accumulated"}) {
    const std::vector<double> found = losses(name);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 1e-4) << name << " step " << i + 1;
  }
}

// LARS sees whole tensors, whatever the rank's share of the step.
TEST_F(RanksTest, LarsOfTwoRanksEqualsOneAndResumesBitForBit) {
  const std::string lars =
      "train tiny.toml --set optimizer.name=lars --set optimizer.momentum=0.9 "
      "--set optimizer.eta=0.02 --set optimizer.lr=0.5 --set train.epochs=6 ";
  ASSERT_EQ(on_ranks(1, lars + "--output one").exit_code, 0);
  const MpiRun two = on_ranks(2, lars + "--output two");
  ASSERT_EQ(two.exit_code, 0) << two.output;
  const std::vector<double> expected = losses("one"), found = losses("two");
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4);
  EXPECT_LT(expected.back(), 0.9 * expected.front()) << "it does not train";

  ASSERT_EQ(on_ranks(2, lars + "--output run --set train.max_steps=8").exit_code, 0);
  ASSERT_EQ(on_ranks(2, lars + "--output run --resume").exit_code, 0);
  EXPECT_EQ(losses("run"), losses("two"));
  expect_equal_state(checkpoint("run"), checkpoint("two"));
}

TEST_F(RanksTest, ALastStepWithFewerSamplesThanRanksStillWorks) {
  const MpiRun run = on_ranks(3, "train tiny.toml --output run --set data.train_size=17");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_EQ(metrics("run", Record::step).size(), 6u);
  EXPECT_EQ(metrics("run", Record::step).back().samples, 1);
}

// The sums of batch moments and the buckets of gradients must come in the same order on the rank
// that has no samples.
TEST_F(RanksTest, ARankWithoutSamplesJoinsSumsOfMomentsAndBucketsInOrder) {
  const std::string settings =
      " --set data.train_size=33 --set communicator.bucket_mib=0.05 --set device.name=cpu";
  ASSERT_EQ(on_ranks(1, "train norm.toml --output one" + settings).exit_code, 0);
  const MpiRun run = on_ranks(2, "train norm.toml --output two" + settings);
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const std::vector<double> expected = losses("one");
  const std::vector<double> found = losses("two");
  ASSERT_EQ(found.size(), 2u);
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], kTolerance);
  EXPECT_EQ(metrics("two", Record::step).back().samples, 1);
  const Checkpoint one = checkpoint("one");
  const Checkpoint two = checkpoint("two");
  for (const auto& [parameter, tensor] : one.parameters) {
    const std::vector<float>& other = two.parameters.at(parameter).values;
    for (size_t i = 0; i < other.size(); ++i) {
      ASSERT_NEAR(other[i], tensor.values[i], 1e-3) << parameter;
    }
  }
}

TEST_F(RanksTest, AResumedTrainingOfTwoRanksEqualsAnUninterruptedOneBitForBit) {
  ASSERT_EQ(on_ranks(2, "train tiny.toml --output whole").exit_code, 0);
  ASSERT_EQ(on_ranks(2, "train tiny.toml --output run --set train.max_steps=8").exit_code, 0);
  const MpiRun resumed = on_ranks(2, "train tiny.toml --output run --resume");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_EQ(losses("run"), losses("whole"));
  expect_equal_state(checkpoint("run"), checkpoint("whole"));
}

TEST_F(RanksTest, ATrainingOfTwoRanksGoesOnWithOneOnTheRemainingSamples) {
  ASSERT_EQ(on_ranks(1, "train tiny.toml --output whole").exit_code, 0);
  ASSERT_EQ(on_ranks(2, "train tiny.toml --output run --set train.max_steps=8").exit_code, 0);
  ASSERT_EQ(on_ranks(1, "train tiny.toml --output run --resume").exit_code, 0);
  const std::vector<double> expected = losses("whole");
  const std::vector<double> found = losses("run");
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4);
}

TEST_F(RanksTest, ASignalToOneRankStopsAllAfterTheSameStepWith75) {
  const MpiRun run = shell(concat(mpirun_command(2),
                                  " sh -c 'echo $$ > pid.$OMPI_COMM_WORLD_RANK; exec $0 \"$@\"' $L "
                                  "train tiny.toml --quiet --output run "
                                  "--set train.epochs=1000 & p=$!; while [ $(wc -l < "
                                  "run/metrics.csv || echo 0) -lt 4 ]; do sleep 0.02; done; "
                                  "kill -USR1 $(cat pid.1); wait $p"));
  EXPECT_EQ(run.exit_code, 75) << run.output;
  EXPECT_EQ(metrics("run", Record::step).back().step_number, checkpoint("run").progress.step);
}

TEST_F(RanksTest, RankZeroAloneReportsRecipeErrors) {
  const MpiRun run = on_ranks(2, "train tiny.toml --set train.epoch=3");
  EXPECT_EQ(run.exit_code, 2) << run.output;
  const size_t first = run.output.find("train.epoch");
  ASSERT_NE(first, std::string::npos) << run.output;
  EXPECT_EQ(run.output.find("did you mean", run.output.find("did you mean") + 1), std::string::npos)
      << run.output;
}

TEST_F(RanksTest, DataMissingOnOneRankEndsAllWithItsCode) {
  write_recipe("mnist.toml", R"(
[model]
name = "convnet"
[data]
name = "mnist"
path = "digits"
[train]
epochs = 1
global_batch_size = 2
)");
  std::filesystem::create_directories(folder_ / "digits");
  std::filesystem::create_directories(folder_ / "elsewhere");
  for (const char* set : {"train", "t10k"}) {
    const auto write = [&](const char* what, const testing::Bytes& bytes) {
      std::ofstream(folder_ / concat("digits/", set, what), std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
    };
    write("-images-idx3-ubyte", testing::idx_images(4));
    write("-labels-idx1-ubyte", testing::idx_labels({0, 1, 2, 3}));
  }
  const std::string recipe = (folder_ / "mnist.toml").string();
  EXPECT_EQ(on_ranks(2, "train " + recipe + " --output run").exit_code, 0);

  const MpiRun run =
      shell(mpirun_command(2) +
            " sh -c 'test $OMPI_COMM_WORLD_RANK = 1 && cd elsewhere; exec $0 \"$@\"' "
            "$L train " +
            recipe + " --output run2");
  EXPECT_EQ(run.exit_code, 3) << run.output;
  EXPECT_NE(run.output.find("rank 1 of 2"), std::string::npos) << run.output;
  EXPECT_NE(run.output.find("digits"), std::string::npos) << run.output;
}

TEST_F(RanksTest, MoreRanksThanSamplesAreRefused) {
  const MpiRun batch = on_ranks(3, "train tiny.toml --set train.global_batch_size=2");
  EXPECT_EQ(batch.exit_code, 2) << batch.output;
  const MpiRun data = on_ranks(3, "train tiny.toml --set data.train_size=2");
  EXPECT_EQ(data.exit_code, 3) << data.output;
}

TEST_F(RanksTest, EvaluationCountsEachSampleOnceOverAllRanks) {
  ASSERT_EQ(on_ranks(1, "train tiny.toml --output run --set train.max_steps=2").exit_code, 0);
  const MpiRun one = on_ranks(1, "evaluate run/checkpoints/last.h5 --json");
  const MpiRun three = on_ranks(3, "evaluate run/checkpoints/last.h5 --json");
  ASSERT_EQ(one.exit_code, 0) << one.output;
  ASSERT_EQ(three.exit_code, 0) << three.output;
  const auto a = nlohmann::json::parse(one.output);
  const auto b = nlohmann::json::parse(three.output);
  EXPECT_EQ(a["samples"], 20);
  EXPECT_EQ(b["samples"], 20);
  EXPECT_EQ(a["top1"], b["top1"]);
  EXPECT_NEAR(a["loss"].get<double>(), b["loss"].get<double>(), 1e-6);
}

TEST_F(RanksTest, ErrorsInEvaluationEndAllRanks) {
  ASSERT_EQ(on_ranks(1, "train tiny.toml --output run --set train.max_steps=0").exit_code, 0);
  const MpiRun run = shell("truncate -s 2000 run/checkpoints/step-00000000.h5; " +
                           mpirun_command(2) + " $L evaluate run/checkpoints/last.h5");
  EXPECT_EQ(run.exit_code, 4) << run.output;
}

}  // namespace
}  // namespace lockstep
