// LABELS: mpi
// A signal does not wait for the end of an evaluation, and the run that goes on makes it again.
#include <gmock/gmock.h>

#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;
using testing::HasSubstr;

class StopInEvaluationTest : public test::TinyRunTest, public testing::WithParamInterface<int> {
 protected:
  // An evaluation takes long beside the six steps of an epoch; it begins when an epoch's line is
  // written.
  std::string command() const {
    return concat(test::mpirun_command(GetParam()),
                  " $L train tiny.toml --set device.name=cpu --set data.test_size=3000 --output ");
  }
};

TEST_P(StopInEvaluationTest, SavesAtOnceAndTheEvaluationIsMadeWhenItGoesOn) {
  ASSERT_EQ(shell(command() + "whole").exit_code, 0);
  const MpiRun stopped =
      shell(command() +
            "run & p=$!; until grep -q '\"event\":\"epoch\"' run/metrics.jsonl 2>/dev/null; do "
            "sleep 0.01; done; kill -USR1 $(cat /proc/$p/task/$p/children); wait $p");
  ASSERT_EQ(stopped.exit_code, 75) << stopped.output;
  EXPECT_THAT(stopped.output, HasSubstr("stopped by USR1 after "));
  EXPECT_TRUE(metrics("run", Record::evaluation).empty()) << "it came to its end";
  EXPECT_EQ(checkpoint("run").progress.samples_in_epoch, 44) << "the epoch is not finished";

  const MpiRun resumed = shell(command() + "run --resume");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  expect_equal_state(checkpoint("run"), checkpoint("whole"));
  EXPECT_EQ(metrics("run", Record::epoch).size(), 2u);
  const std::vector<Record> evaluations = metrics("run", Record::evaluation);
  const std::vector<Record> expected = metrics("whole", Record::evaluation);
  ASSERT_EQ(evaluations.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(evaluations[i].loss, expected[i].loss);
}

INSTANTIATE_TEST_SUITE_P(Ranks, StopInEvaluationTest, testing::Values(1, 2));

}  // namespace
}  // namespace lockstep
