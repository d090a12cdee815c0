// What is said of ranks that do not fit together, by their facts alone.
#include "train/site.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/text.hpp"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Two hosts of two ranks each, with nothing to complain of.
std::vector<Facts> four_ranks() {
  const auto facts = [](const char* host, const char* cores) -> Facts {
    return {{"host", host},
            {"machine", host},
            {"version of lockstep", "1.0"},
            {"ABI id", "headers=1"},
            {"file liblockstep.so", "00aa"},
            {"file models/resnet.so", "00bb"},
            {"libraries", "oneDNN 1"},
            {"instruction set", "avx2"},
            {"cores", cores},
            {"cores of host", "8"},
            {"threads", "0"},
            {"workers", "-1"},
            {"open files", "1024"},
            {"clock", "1000.0"},
            {"size of the training set", "50,000"},
            {"pictures of the training set", "00cc"}};
  };
  return {facts("east", "0-3"), facts("east", "4-7"), facts("west", "0-3"), facts("west", "4-7")};
}

std::string only_finding(const std::vector<Facts>& ranks, bool fatal) {
  const std::vector<Finding> findings = compare_ranks(ranks);
  EXPECT_THAT(findings, SizeIs(1));
  if (findings.empty()) return "";
  EXPECT_EQ(findings[0].fatal, fatal);
  return findings[0].text;
}

TEST(SiteTest, FindsNothingWhereEverythingFits) {
  EXPECT_THAT(compare_ranks(four_ranks()), IsEmpty());
}

TEST(SiteTest, ADifferenceNamesTheHostsOnEachSideAndTheRemedy) {
  std::vector<Facts> ranks = four_ranks();
  ranks[2]["file models/resnet.so"] = ranks[3]["file models/resnet.so"] = "00dd";
  EXPECT_EQ(only_finding(ranks, true),
            "build: file models/resnet.so: 00bb on east (ranks 0-1) and 00dd on west (ranks 2-3); "
            "expected one build on all hosts; install the same one everywhere, or start all ranks "
            "from a folder that the hosts share");
}

TEST(SiteTest, APluginThatOneRankDoesNotUseIsLeftToTheRecipes) {
  std::vector<Facts> ranks = four_ranks();
  ranks[3].erase("file models/resnet.so");
  ranks[3]["file models/vgg.so"] = "00dd";
  EXPECT_THAT(compare_ranks(ranks), IsEmpty());
}

TEST(SiteTest, OtherKindsOfDevicesAreAnError) {
  std::vector<Facts> ranks = four_ranks();
  for (Facts& facts : ranks) facts["kind of device"] = "cuda";
  ranks[2]["kind of device"] = "cpu";
  EXPECT_THAT(only_finding(ranks, true),
              AllOf(HasSubstr("devices: kind of device: cuda on east (ranks 0-1), west (rank 3) "
                              "and cpu on west (rank 2)"),
                    HasSubstr("device.name")));
}

TEST(SiteTest, OtherDataIsADataErrorAndSizesComeFirst) {
  std::vector<Facts> ranks = four_ranks();
  ranks[1]["pictures of the training set"] = "00dd";
  ranks[1]["size of the training set"] = "49,999";
  const std::vector<Finding> findings = compare_ranks(ranks);
  ASSERT_THAT(findings, SizeIs(2));
  EXPECT_EQ(findings[0].failure, Failure::data);
  EXPECT_THAT(
      findings[0].text,
      AllOf(HasSubstr("data: size of the training set: 50,000 on east (rank 0), west (ranks "
                      "2-3) and 49,999 on east (rank 1)"),
            HasSubstr("LOCKSTEP_DATA")));
}

TEST(SiteTest, OtherProcessorsAreAWarningBehindTheErrors) {
  std::vector<Facts> ranks = four_ranks();
  ranks[2]["instruction set"] = ranks[3]["instruction set"] = "avx512";
  EXPECT_THAT(only_finding(ranks, false),
              AllOf(HasSubstr("avx2 on east (ranks 0-1) and avx512 on west (ranks 2-3)"),
                    HasSubstr("bit by bit"), HasSubstr("--constraint")));
  ranks[0]["ABI id"] = "headers=2";
  EXPECT_TRUE(compare_ranks(ranks)[0].fatal);
}

TEST(SiteTest, TwoRanksOnOneDeviceOfAHostAreAnError) {
  std::vector<Facts> ranks = four_ranks();
  for (size_t rank = 0; rank < 4; ++rank)
    ranks[rank]["device id"] = concat("GPU-", rank % 2);  // each host numbers its own
  EXPECT_THAT(compare_ranks(ranks), IsEmpty());
  ranks[3]["device id"] = "GPU-0";
  EXPECT_THAT(only_finding(ranks, true),
              AllOf(HasSubstr("ranks 2 and 3 on west both use GPU-0"), HasSubstr("gpus-per-node")));
}

TEST(SiteTest, HostsOfOneNameAreToldApartByTheirMachine) {
  std::vector<Facts> ranks = four_ranks();
  for (Facts& facts : ranks) facts["host"] = "localhost", facts["device id"] = facts["cores"];
  EXPECT_THAT(compare_ranks(ranks), IsEmpty());
}

TEST(SiteTest, ARankBoundToOneCoreOfManyStarves) {
  std::vector<Facts> ranks = four_ranks();
  ranks[0]["cores"] = "0";
  ranks[1]["cores"] = "1";
  EXPECT_THAT(only_finding(ranks, false),
              AllOf(HasSubstr("cores: east (ranks 0-1) may run on 1 of the 8 cores"),
                    HasSubstr("--bind-to none"), HasSubstr("--cpus-per-task")));
  for (Facts& facts : ranks) facts["cores"] = "0", facts["cores of host"] = "1";
  EXPECT_THAT(compare_ranks(ranks), IsEmpty()) << "a host of one core has no more to give";
}

TEST(SiteTest, MoreThreadsThanCoresStarve) {
  std::vector<Facts> ranks = four_ranks();
  ranks[3]["threads"] = "6";
  EXPECT_THAT(only_finding(ranks, false),
              AllOf(HasSubstr("west (rank 3) may run on 4"), HasSubstr("compute threads (6)")));
}

TEST(SiteTest, ClocksThatDifferAndFewOpenFilesAreWarnings) {
  std::vector<Facts> ranks = four_ranks();
  ranks[2]["clock"] = "1004.0";
  EXPECT_THAT(compare_ranks(ranks), IsEmpty());
  ranks[2]["clock"] = "875.0";
  EXPECT_THAT(only_finding(ranks, false), HasSubstr("that of west is 2:05 behind that of east"));
  ranks = four_ranks();
  ranks[1]["open files"] = "100";
  EXPECT_THAT(only_finding(ranks, false), HasSubstr("east (rank 1) may open 100; expected 168"));
}

TEST(SiteTest, ManyHostsAreCountedNotListed) {
  std::vector<Facts> ranks;
  for (int host = 0; host < 9; ++host) {
    Facts facts = four_ranks()[0];
    facts["host"] = facts["machine"] = concat("node", host);
    facts["version of lockstep"] = host == 8 ? "1.0" : "1.1";
    ranks.push_back(facts);
  }
  EXPECT_THAT(only_finding(ranks, true),
              AllOf(HasSubstr("node3 (rank 3) and 4 more hosts and 1.0 on node8 (rank 8)"),
                    Not(HasSubstr("node4"))));
}

TEST(SiteTest, CoresAreSharedByRanksOfOneMaskAndOwnedOtherwise) {
  std::vector<Facts> ranks = four_ranks();
  for (int rank = 0; rank < 4; ++rank) EXPECT_EQ(share_of_cores(ranks, rank), 4);
  ranks[0]["cores"] = ranks[1]["cores"] = "0-6";
  EXPECT_EQ(share_of_cores(ranks, 0), 4) << "the first gets what the division leaves";
  EXPECT_EQ(share_of_cores(ranks, 1), 3);
  EXPECT_EQ(share_of_cores(ranks, 2), 4);
  ranks[0]["cores"] = "";
  EXPECT_EQ(share_of_cores(ranks, 0), 0) << "unknown";
}

TEST(SiteTest, RanksOnTheSameCoresDivideThemWithoutRest) {
  for (const size_t count : {1u, 2u, 3u, 5u}) {
    const std::vector<Facts> ranks(count, {{"host", "east"}, {"cores", "0-12,14-16"}});
    int sum = 0;
    for (size_t rank = 0; rank < count; ++rank)
      sum += share_of_cores(ranks, static_cast<int>(rank));
    EXPECT_EQ(sum, 16);
  }
  const std::vector<Facts> many(8, {{"host", "east"}, {"cores", "0-1"}});
  EXPECT_EQ(share_of_cores(many, 6), 1) << "more ranks than cores";
}

class TasksTest : public ::testing::Test {
 protected:
  TasksTest() {
    const char* tasks = std::getenv("SLURM_NTASKS");
    if (tasks != nullptr) before_ = tasks;
    unsetenv("SLURM_NTASKS");
  }
  ~TasksTest() override {
    unsetenv("SLURM_NTASKS");
    if (!before_.empty()) setenv("SLURM_NTASKS", before_.c_str(), 1);
  }

 private:
  std::string before_;
};

TEST_F(TasksTest, AsManyRanksAsWereStartedAreRight) {
  EXPECT_THAT(check_tasks({}, 1, "local"), IsEmpty());
  EXPECT_THAT(check_tasks({.among_ranks = true, .tasks = 4, .said_by = "PMI_SIZE"}, 4, "mpi"),
              IsEmpty());
}

TEST_F(TasksTest, SingletonsOfSrunAreToldWhichMpiToAskFor) {
  const std::vector<Finding> findings = check_tasks(
      {.among_ranks = true, .tasks = 4, .said_by = "SLURM_STEP_NUM_TASKS", .by_srun = true}, 1,
      "mpi");
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_TRUE(findings[0].fatal);
  EXPECT_THAT(findings[0].text,
              AllOf(HasSubstr("4 processes were started (SLURM_STEP_NUM_TASKS), but MPI says that "
                              "there is 1;"),
                    HasSubstr("--mpi=pmix or pmi2"), HasSubstr("launch/slurm")));
}

TEST_F(TasksTest, TrainingAloneAmongTasksOnPurposeIsAWarning) {
  const std::vector<Finding> findings =
      check_tasks({.among_ranks = true, .tasks = 4, .said_by = "PMI_SIZE"}, 1, "local");
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_FALSE(findings[0].fatal);
  EXPECT_THAT(findings[0].text, HasSubstr("communicator.name"));
}

TEST_F(TasksTest, ARunOfFewerRanksThanTheJobHasTasksIsAWarning) {
  setenv("SLURM_NTASKS", "8", 1);
  const std::vector<Finding> findings = check_tasks({}, 1, "local");
  ASSERT_THAT(findings, SizeIs(1));
  EXPECT_FALSE(findings[0].fatal);
  EXPECT_THAT(findings[0].text, AllOf(HasSubstr("has 8 tasks"), HasSubstr("1 rank;")));
}

}  // namespace
}  // namespace lockstep
