// LABELS: mpi
// Trainings that do not fit into a device's memory: what is said, and train.auto_accumulate.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;
using test::mpirun_command;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// The convnet of tiny.toml in steps of 32 on the device `limited`: parameters, gradients and
// velocity take 46 KiB each, every sample of a training step some 100 KiB.
class OutOfMemoryTest : public test::TinyRunTest {
 protected:
  static constexpr const char* kPluginPath =
      "LOCKSTEP_PLUGIN_PATH=" LOCKSTEP_BUILD_DIR "/tests/train ";
  static constexpr const char* kTrain =
      "train tiny.toml --set device.name=limited --set train.global_batch_size=32 "
      "--set data.test_size=4 ";

  MpiRun train(int kib, const std::string& arguments) const {
    return lockstep(kTrain + arguments, concat(kPluginPath, "LIMITED_KIB=", kib));
  }
  int64_t accumulation(const std::string& run) const {
    return nlohmann::json::parse(text_of(run + "/environment.json")).at("gradient_accumulation");
  }
};

constexpr int kPlenty = 1 << 20;  // KiB
constexpr int kLittle = 1200;     // KiB

TEST_F(OutOfMemoryTest, SaysWhatThePlanNeedsWhatIsFreeAndWhichKeyMakesItFit) {
  const MpiRun run = train(kLittle, "--output run");
  EXPECT_EQ(run.exit_code, 5) << run.output;
  EXPECT_THAT(
      run.output,
      AllOf(HasSubstr("global_batch_size"),
            HasSubstr("the plan of training with 32 samples needs "), HasSubstr("activations "),
            HasSubstr("batch "), HasSubstr("the largest activations are conv1 f32(32, "),
            HasSubstr(" are free, enough for "), HasSubstr("train.auto_accumulate = true")));
  std::smatch suggestion;
  ASSERT_TRUE(std::regex_search(run.output, suggestion,
                                std::regex("train.gradient_accumulation = ([0-9]+)")))
      << run.output;
  const MpiRun again =
      train(kLittle, concat("--output run --set train.gradient_accumulation=", suggestion.str(1)));
  EXPECT_EQ(again.exit_code, 0) << again.output;
}

TEST_F(OutOfMemoryTest, AModelThatDoesNotFitIsNamedByItsPart) {
  const MpiRun run = train(100, "--output run");
  EXPECT_EQ(run.exit_code, 5) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr(" of the model: device limited: there is no memory for "),
                                Not(HasSubstr("gradient_accumulation"))));
}

TEST_F(OutOfMemoryTest, AutoAccumulateTrainsAsTheSameAccumulationDoes) {
  const MpiRun run = train(kLittle, "--output run --set train.auto_accumulate=true");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const int64_t shards = accumulation("run");
  EXPECT_GT(shards, 1);
  EXPECT_THAT(run.output,
              AllOf(HasSubstr(concat("train.auto_accumulate: ", shards, " shards of up to ")),
                    HasSubstr(" in place of 1;")));
  ASSERT_EQ(
      train(kPlenty, concat("--output same --set train.gradient_accumulation=", shards)).exit_code,
      0);
  EXPECT_EQ(losses("run"), losses("same"));
  expect_equal_state(checkpoint("run"), checkpoint("same"));
  EXPECT_EQ(metrics("run", Record::step).front().samples, 32);
}

TEST_F(OutOfMemoryTest, AutoAccumulateTakesTheFewestShardsThatFit) {
  ASSERT_EQ(train(kLittle, "--output run --set train.auto_accumulate=true").exit_code, 0);
  const int64_t fewer = accumulation("run") - 1;
  ASSERT_GE(fewer, 1);
  // A sixteenth is kept free.
  EXPECT_EQ(
      train(kLittle * 15 / 16, concat("--output fewer --set train.gradient_accumulation=", fewer))
          .exit_code,
      5);
}

TEST_F(OutOfMemoryTest, AutoAccumulateChangesNothingWhereAllFits) {
  const MpiRun run = train(kPlenty, "--output run --set train.auto_accumulate=true");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_EQ(accumulation("run"), 1);
  EXPECT_THAT(run.output, Not(HasSubstr("train.auto_accumulate")));
  const MpiRun host = lockstep("train tiny.toml --output host --set train.auto_accumulate=true");
  ASSERT_EQ(host.exit_code, 0) << host.output;
  EXPECT_EQ(accumulation("host"), 1);
}

TEST_F(OutOfMemoryTest, RanksAgreeOnWhatTheSmallestDeviceNeeds) {
  const MpiRun run = shell(concat(
      "export ", kPluginPath, "; ", mpirun_command(2),
      " sh -c 'export LIMITED_KIB=$(test $OMPI_COMM_WORLD_RANK = 1 && echo 1000 || echo 1000000); "
      "exec $0 \"$@\"' $L ",
      kTrain, "--output run --set train.auto_accumulate=true"));
  ASSERT_EQ(run.exit_code, 0) << run.output;
  EXPECT_GT(accumulation("run"), 1);
  EXPECT_THAT(run.output, HasSubstr("train.auto_accumulate: "));
}

TEST_F(OutOfMemoryTest, ATrainingMayBeResumedWithAutoAccumulate) {
  ASSERT_EQ(train(kPlenty, "--output run --set train.max_steps=1").exit_code, 0);
  EXPECT_EQ(train(kLittle, "--output run --resume --set train.max_steps=3").exit_code, 5);
  const MpiRun resumed = train(
      kLittle, "--output run --resume --set train.max_steps=3 --set train.auto_accumulate=true");
  EXPECT_EQ(resumed.exit_code, 0) << resumed.output;
}

}  // namespace
}  // namespace lockstep
