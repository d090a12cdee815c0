// LABELS: launch mpi
// lockstep doctor: what it says, alone and on several ranks, as text and as JSON.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using nlohmann::json;
using test::MpiRun;
using test::mpirun_command;
using testing::AllOf;
using testing::Gt;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;

class DoctorTest : public test::TinyRunTest {
 protected:
  // Standard output as JSON; what mpirun and the warnings say goes elsewhere.
  json examine(const std::string& arguments, const std::string& before = "", int* code = nullptr) {
    const MpiRun run = shell(
        concat(before, " $L doctor --json ", arguments, " 2>errors >out; echo $? >code; cat out"));
    if (code != nullptr) *code = std::stoi(text_of("code"));
    json report = json::parse(run.output, nullptr, false);
    EXPECT_FALSE(report.is_discarded()) << run.output << text_of("errors");
    return report.is_discarded() ? json::object() : report;
  }

  static std::vector<std::string> keys(const json& object) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : object.items()) keys.push_back(key);
    return keys;
  }
  static std::string findings(const json& report) { return report["findings"].dump(); }
};

TEST_F(DoctorTest, PrintsEverySection) {
  const MpiRun run = lockstep("doctor");
  for (const char* section : {"versions", "hosts", "ranks", "network", "MPI components", "Slurm",
                              "disks", "GPUs", "all-reduce", "what is wrong"}) {
    EXPECT_THAT(run.output, HasSubstr(concat("\n", section, "\n  ")));
  }
  EXPECT_THAT(run.output, AllOf(HasSubstr("HDF5"), HasSubstr("Open MPI"), HasSubstr("oneDNN"),
                                HasSubstr("instruction set"), HasSubstr("iB/s")));
  const bool healthy = run.output.find("what is wrong\n  nothing\n") != std::string::npos;
  EXPECT_EQ(run.exit_code, healthy ? 0 : 5) << run.output;
}

TEST_F(DoctorTest, JsonHasTheSameFacts) {
  int code = -1;
  const json report = examine("", "", &code);
  EXPECT_THAT(keys(report), testing::UnorderedElementsAre(
                                "lockstep", "world_size", "versions", "ranks", "hosts", "network",
                                "gpus", "disks", "mpi", "slurm", "all_reduce", "findings"));
  EXPECT_EQ(code, report["findings"].empty() ? 0 : 5);
  EXPECT_EQ(report["world_size"], 1);
  EXPECT_THAT(keys(report["versions"]),
              IsSupersetOf({"ABI id", "compiler", "libstdc++", "glibc", "HDF5", "Boost", "toml++",
                            "communicator mpi", "device cpu"}));
  ASSERT_THAT(report["hosts"], SizeIs(1));
  EXPECT_THAT(keys(report["hosts"][0]),
              IsSupersetOf({"host", "processor", "instruction_set", "cores_online", "numa_nodes",
                            "memory_bytes", "open_files"}));
  EXPECT_GT(report["hosts"][0]["memory_bytes"], 0);
  ASSERT_THAT(report["disks"], SizeIs(2));  // here, and for temporary files
  for (const json& disk : report["disks"]) {
    EXPECT_GT(disk["write_bytes_per_second"], 0) << disk;
    EXPECT_GT(disk["fsync_seconds"], 0.0) << disk;
    EXPECT_NE(disk["file_system"], "") << disk;
  }
  EXPECT_FALSE(report["network"][0]["interfaces"].empty());
  EXPECT_THAT(keys(report["gpus"][0]), IsSupersetOf({"devices", "driver", "libcuda"}));
  EXPECT_TRUE(report["all_reduce"].empty());
  EXPECT_EQ(text_of("errors"), "");
}

TEST_F(DoctorTest, LeavesNothingBehind) {
  examine("");
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    left.push_back(entry.path().filename().string());
  EXPECT_THAT(left, testing::UnorderedElementsAre("tiny.toml", "out", "errors", "code"));
}

TEST_F(DoctorTest, MeasuresAllReduceBetweenTheRanks) {
  const json report = examine("tiny.toml", mpirun_command(2));
  EXPECT_EQ(report["world_size"], 2);
  ASSERT_THAT(report["ranks"], SizeIs(2));
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_EQ(report["ranks"][rank]["rank"], rank);
    EXPECT_EQ(report["ranks"][rank]["local_rank"], rank);
    EXPECT_EQ(report["ranks"][rank]["local_size"], 2);
  }
  EXPECT_NE(report["ranks"][0]["process"], report["ranks"][1]["process"]);
  EXPECT_THAT(report["hosts"], SizeIs(1)) << "one report for each host";
  ASSERT_THAT(report["all_reduce"], SizeIs(5));
  int64_t bytes = 0;
  for (const json& speed : report["all_reduce"]) {
    EXPECT_GT(speed["bytes"], bytes);
    bytes = speed["bytes"];
    EXPECT_GT(speed["seconds"], 0.0);
    EXPECT_GT(speed["bus_bytes_per_second"], 0);
  }
  EXPECT_EQ(bytes, 64 << 20);
  EXPECT_EQ(report["data"]["size of the training set"], "44");
}

TEST_F(DoctorTest, SaysWhatIsWrongAndEndsWith5) {
  int code = 0;
  const json singletons = examine("", "PMI_RANK=0 PMI_SIZE=2", &code);
  EXPECT_EQ(code, 5);
  EXPECT_THAT(findings(singletons), HasSubstr("2 processes were started (PMI_SIZE)"));
  EXPECT_EQ(singletons["findings"][0]["severity"], "error");

  const json without_pmi =
      examine("", "SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=0", &code);
  EXPECT_EQ(code, 5);
  EXPECT_THAT(findings(without_pmi), HasSubstr("without PMI"));
  EXPECT_THAT(without_pmi["findings"], SizeIs(1));
  EXPECT_THAT(without_pmi["disks"], SizeIs(2)) << "the rest is still said";

  const json few = examine("", "ulimit -n 100;", &code);
  EXPECT_EQ(code, 5);
  EXPECT_THAT(findings(few), HasSubstr("may open 100;"));
  EXPECT_EQ(few["findings"][0]["severity"], "warning");

  write_recipe("away.toml",
               "model.name = \"convnet\"\ndata = {name = \"mnist\", path = \"nowhere\"}\n"
               "train.epochs = 1\n");
  const json away = examine("away.toml", "", &code);
  EXPECT_EQ(code, 5);
  EXPECT_THAT(findings(away), AllOf(HasSubstr("data.path"), HasSubstr("nowhere")));
}

TEST_F(DoctorTest, ARankThatDiffersIsAFindingAndTheRestIsStillSaid) {
  const MpiRun run =
      shell(concat(mpirun_command(2), " sh -c 'exec ", LOCKSTEP_BINARY,
                   " doctor tiny.toml --set optimizer.lr=0.1$OMPI_COMM_WORLD_RANK'"));
  EXPECT_EQ(run.exit_code, 5) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr("  error: recipe: rank 1 on "), HasSubstr("all-reduce\n"),
                                HasSubstr("64.0 MiB")));
}

TEST_F(DoctorTest, TheVariablesOfSlurmAreItsView) {
  const json report = examine("", "SLURM_JOB_ID=17 SLURM_JOB_PARTITION=fast");
  EXPECT_EQ(report["slurm"]["variables"]["SLURM_JOB_ID"], "17");
  EXPECT_EQ(report["slurm"]["variables"]["SLURM_JOB_PARTITION"], "fast");
}

}  // namespace
}  // namespace lockstep
