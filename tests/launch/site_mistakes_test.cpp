// LABELS: launch mpi
// Mistakes of a site, staged on this machine: each is named with its remedy before the first step.
#include <gmock/gmock.h>

#include "base/host.hpp"
#include "data/dataset_files.hpp"
#include "runtime/guard.hpp"
#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using test::MpiRun;
using test::mpirun_command;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SiteMistakesTest : public test::TinyRunTest {
 protected:
  // Each of two ranks runs this line of shell, where $R is its number and $L the command.
  MpiRun on_two_ranks(const std::string& line) const {
    return shell(concat(mpirun_command(2), " sh -c 'R=$OMPI_COMM_WORLD_RANK; L=", LOCKSTEP_BINARY,
                        "; ", line, "'"));
  }

  // What stands on both sides in a message about these two ranks.
  static std::string on_rank(int rank) { return concat(" on ", host_name(), " (rank ", rank, ")"); }

  static void expect(const MpiRun& run, int exit_code,
                     const ::testing::Matcher<std::string>& words) {
    EXPECT_EQ(run.exit_code, exit_code) << run.output;
    EXPECT_THAT(run.output, words);
  }
};

TEST_F(SiteMistakesTest, TwoRanksOfASoundSiteAreNotWarned) {
  const MpiRun run = on_two_ranks("exec $L train tiny.toml --output run");
  expect(run, 0, Not(HasSubstr("warning: ")));
  EXPECT_EQ(losses("run").size(), 12u);
}

TEST_F(SiteMistakesTest, SingletonsOfAnMpirunOfAnotherLibrary) {
  expect(lockstep("train tiny.toml --output run", "PMI_RANK=0 PMI_SIZE=2"), 5,
         AllOf(HasSubstr("2 processes were started (PMI_SIZE), but MPI says that there is 1"),
               HasSubstr("the mpirun of the MPI library")));
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(SiteMistakesTest, TasksOfSrunWithoutAPmiThatMpiHas) {
  const std::string step = "SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=0";
  expect(lockstep("train tiny.toml --output run", step), 5,
         AllOf(HasSubstr("srun has started 2 processes (SLURM_STEP_NUM_TASKS) without PMI"),
               HasSubstr("use srun --mpi=pmix, as launch/slurm does")));
  expect(lockstep("train tiny.toml --output run", step + " PMI_FD=9 PMI_RANK=0 PMI_SIZE=2"), 5,
         HasSubstr("with PMI-2, which this Open MPI was built without"));
}

TEST_F(SiteMistakesTest, AJobOfMoreTasksThanRanks) {
  expect(lockstep("train tiny.toml --output run", "SLURM_NTASKS=4"), 0,
         AllOf(HasSubstr("warning: communicator local: the Slurm job has 4 tasks"),
               HasSubstr("start it with srun")));
}

TEST_F(SiteMistakesTest, APluginOfAnotherBuild) {
  shell(concat("mkdir -p other/models && cp ", LOCKSTEP_BUILD_DIR,
               "/lib/lockstep/plugins/models/convnet.so other/models/ && "
               "printf x >>other/models/convnet.so"));
  expect(on_two_ranks("[ $R = 0 ] || export LOCKSTEP_PLUGIN_PATH=other; "
                      "exec $L train tiny.toml --output run"),
         5,
         AllOf(HasSubstr("build: file models/convnet.so: "), HasSubstr(on_rank(0)),
               HasSubstr(on_rank(1)), HasSubstr("install the same one everywhere")));
}

TEST_F(SiteMistakesTest, ALibraryOfAnotherBuild) {
  shell(concat("mkdir copy && cp -r ", LOCKSTEP_BUILD_DIR, "/bin ", LOCKSTEP_BUILD_DIR,
               "/lib copy/ && printf x >>copy/lib/liblockstep.so"));
  expect(on_two_ranks("[ $R = 0 ] || L=copy/bin/lockstep; exec $L train tiny.toml --output run"), 5,
         HasSubstr("build: file liblockstep.so: "));
}

TEST_F(SiteMistakesTest, AnotherRecipe) {
  expect(on_two_ranks("exec $L train tiny.toml --output run --set optimizer.lr=0.1$R"), 2,
         AllOf(HasSubstr(concat("recipe: rank 1 on ", host_name(), " has ")), HasSubstr("lr = 0.1"),
               HasSubstr("start all ranks with the same recipe")));
}

class OtherDataTest : public SiteMistakesTest {
 protected:
  // MNIST's files in FOLDER/mnist; data.path is "mnist", and LOCKSTEP_DATA says where that is.
  void write_mnist(const std::string& folder, uint32_t count, uint8_t last_pixel) const {
    for (const char* set : {"train", "t10k"}) {
      const std::string stem = concat((folder_ / folder / "mnist").string(), "/", set);
      testing::Bytes images = testing::idx_images(count);
      images.back() = last_pixel;
      testing::write_file(stem + "-images-idx3-ubyte", images);
      testing::write_file(stem + "-labels-idx1-ubyte",
                          testing::idx_labels(testing::Bytes(count, 3)));
    }
  }
  MpiRun train_on(const std::string& first, const std::string& second) const {
    return on_two_ranks(concat("export LOCKSTEP_DATA=", first, "; [ $R = 0 ] || LOCKSTEP_DATA=",
                               second, "; ", "exec $L train mnist.toml --output run"));
  }
  OtherDataTest() {
    write_recipe("mnist.toml",
                 "model.name = \"convnet\"\ndata = {name = \"mnist\", path = \"mnist\"}\n"
                 "train = {epochs = 1, global_batch_size = 10}\n"
                 "optimizer = {name = \"sgd\", lr = 0.01}\ndevice.name = \"reference\"\n");
    write_mnist("one", 20, 7);
  }
};

TEST_F(OtherDataTest, ACopyInAnotherPlaceIsTheSameData) {
  write_mnist("copy", 20, 7);
  expect(train_on("one", "copy"), 0, Not(HasSubstr("data:")));
}

TEST_F(OtherDataTest, FewerSamples) {
  write_mnist("fewer", 18, 7);
  expect(
      train_on("one", "fewer"), 3,
      AllOf(HasSubstr(concat("data: size of the test set: 20", on_rank(0), " and 18", on_rank(1))),
            HasSubstr("expected the same data on all ranks; copy it anew")));
}

TEST_F(OtherDataTest, OnePixel) {
  write_mnist("pixel", 20, 8);
  expect(train_on("one", "pixel"), 3, HasSubstr("data: pictures of the test set: "));
}

TEST_F(OtherDataTest, NoneOnOneRank) {
  expect(train_on("one", "nowhere"), 3,
         AllOf(HasSubstr(concat("lockstep: rank 1 of 2 on ", host_name(), ": data.path: ")),
               HasSubstr("nowhere/mnist")));
}

TEST_F(SiteMistakesTest, ARunFolderInTwoPlaces) {
  shell("mkdir here0 here1");
  expect(on_two_ranks("cd here$R && exec $L train ../tiny.toml --output run"), 5,
         AllOf(HasSubstr("rank 1 does not find in "), HasSubstr("here1/run"),
               HasSubstr("expected one folder that all ranks share"), HasSubstr("--output")));
  EXPECT_FALSE(fs::exists(folder_ / "here0/run/metrics.jsonl"));
}

TEST_F(SiteMistakesTest, ARunFolderOnAFileSystemOfOneHost) {
  if (test::run_command("unshare -m true").exit_code != 0)
    GTEST_SKIP() << "mount namespaces are not allowed here";
  shell("mkdir shared");
  expect(on_two_ranks("[ $R = 0 ] || exec unshare -m sh -c \"mount -t tmpfs none shared && "
                      "exec $L train tiny.toml --output shared/run\"; "
                      "exec $L train tiny.toml --output shared/run"),
         5, AllOf(HasSubstr("rank 1 does not find in "), HasSubstr("shared/run")));
}

TEST_F(SiteMistakesTest, AFileSystemWithoutFsync) {
  expect(lockstep("train tiny.toml --output run", "LOCKSTEP_FILE_FAULT=fsync:1:EIO"), 4,
         AllOf(HasSubstr("run folder "), HasSubstr("cannot fsync"), HasSubstr("--output")));
}

TEST_F(SiteMistakesTest, RanksBoundToOneCore) {
  if (usable_cores().size() < 2) GTEST_SKIP() << "one core has no rank bound to less";
  expect(on_two_ranks("exec taskset -c 0 $L train tiny.toml --output run"), 0,
         AllOf(HasSubstr(concat("warning: cores: ", host_name(), " (ranks 0-1) may run on 1 of ")),
               HasSubstr("mpirun --bind-to none"), HasSubstr("--cpus-per-task")));
}

TEST_F(SiteMistakesTest, FewOpenFiles) {
  expect(on_two_ranks("ulimit -n 100; exec $L train tiny.toml --output run"), 0,
         AllOf(HasSubstr("warning: open files: "), HasSubstr("may open 100;"),
               HasSubstr("raise the hard limit")));
}

TEST_F(SiteMistakesTest, AClockThatIsAhead) {
  std::ofstream(folder_ / "ahead.c") << R"(
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += 100;
  return result;
}
)";
  if (shell("cc -shared -fPIC -o ahead.so ahead.c").exit_code != 0)
    GTEST_SKIP() << "there is no C compiler (cc) to make another clock with";
  const std::string ahead = "LD_PRELOAD=" + (folder_ / "ahead.so").string();
  expect(on_two_ranks("[ $R = 0 ] || export " + ahead + "; exec $L train tiny.toml --output hosts"),
         0, HasSubstr(concat("warning: clocks: that of ", host_name(), " is 1:40 ahead of")));
  expect(lockstep("train tiny.toml --output files", ahead), 0,
         AllOf(HasSubstr("the clock of the file system is 1:40 behind that of "),
               HasSubstr("chrony")));
}

TEST_F(SiteMistakesTest, EvaluationLooksAtTheSiteToo) {
  ASSERT_EQ(lockstep("train tiny.toml --output run").exit_code, 0);
  shell(concat("mkdir -p other/datasets && cp ", LOCKSTEP_BUILD_DIR,
               "/lib/lockstep/plugins/datasets/shapes.so other/datasets/ && "
               "printf x >>other/datasets/shapes.so"));
  expect(on_two_ranks("[ $R = 0 ] || export LOCKSTEP_PLUGIN_PATH=other; "
                      "exec $L evaluate run/checkpoints/last.h5"),
         5, HasSubstr("build: file datasets/shapes.so: "));
  expect(lockstep("evaluate run/checkpoints/last.h5", "PMI_RANK=0 PMI_SIZE=2"), 5,
         HasSubstr("2 processes were started"));
}

}  // namespace
}  // namespace lockstep
