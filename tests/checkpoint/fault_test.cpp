// LABELS: unit fault
// Failing system calls and killed processes while a checkpoint is written: the old one or the new
// one remains, whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "checkpoint/samples.hpp"
#include "checkpoint/writer.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string& bytes_of(int64_t step) {
  static const std::string bytes[] = {to_bytes(test::sample_checkpoint(0)),
                                      to_bytes(test::sample_checkpoint(1)),
                                      to_bytes(test::sample_checkpoint(2))};
  return bytes[step];
}

// Makes the n-th call (from 1) behave as told while it lives, and counts the calls.
class FaultAtCall {
 public:
  FaultAtCall(int n, FileFault fault, bool kill_process = false) {
    set_file_fault_hook([=, this](FileCall, const fs::path&) -> FileFault {
      if (++calls_ != n) return {};
      if (kill_process) kill(getpid(), SIGKILL);
      return fault;
    });
  }
  ~FaultAtCall() { set_file_fault_hook({}); }
  int calls() const { return calls_; }

 private:
  int calls_ = 0;
};

// A folder with step 1 as last and best, to which step 2 comes.
class CheckpointFaultTest : public testing::Test {
 protected:
  void start_anew() {
    fs::remove_all(folder());
    CheckpointWriter writer({.folder = folder(), .keep = 1, .report = {}});
    writer.post(1, bytes_of(1), true);
  }

  // Returns the reported error.
  std::string write_step_2() {
    std::string reported = "not reported";
    const auto report = [&](int64_t, const fs::path&, const std::string& error, double) {
      reported = error;
    };
    CheckpointWriter writer({.folder = folder(), .keep = 1, .report = report});
    writer.post(2, bytes_of(2), true);
    writer.wait();
    EXPECT_EQ(writer.last_failed(), !reported.empty());
    return reported;
  }

  void expect_step_1_or_2(const std::string& when) {
    const Found found = find_newest_sound(folder());
    EXPECT_THAT(found.rejected, testing::IsEmpty()) << when;
    ASSERT_FALSE(found.path.empty()) << when;
    const int64_t step = load_checkpoint(found.path).progress.step;
    EXPECT_EQ(read_file(found.path), bytes_of(step)) << when;
    EXPECT_EQ(test::refusal([&] { load_checkpoint(folder() / "last.h5"); }), "") << when;
    EXPECT_EQ(test::refusal([&] { load_checkpoint(folder() / "best.h5"); }), "") << when;
  }

  void expect_no_temporary_file(const std::string& when) {
    for (const auto& entry : fs::directory_iterator(folder())) {
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path() << ", " << when;
    }
  }

  fs::path folder() const { return parent_ / "checkpoints"; }
  const test::TemporaryFolder parent_;
};

TEST_F(CheckpointFaultTest, AnErrorOfAnyCallLeavesTheOldOrTheNewCheckpoint) {
  for (const int error : {ENOSPC, EIO}) {
    int n = 0;
    bool reached = true;
    while (reached) {
      start_anew();
      const std::string when = concat(strerror(error), " at call ", ++n);
      {
        const FaultAtCall fault(n, {.error = error});
        const std::string reported = write_step_2();
        reached = fault.calls() >= n;
        EXPECT_THAT(reported, reached ? HasSubstr(strerror(error)) : HasSubstr("")) << when;
        EXPECT_EQ(reported.empty(), !reached) << when;
      }
      expect_step_1_or_2(when);
      expect_no_temporary_file(when);
      EXPECT_EQ(write_step_2(), "") << "after " << when;
    }
    EXPECT_GT(n, 8);
  }
}

TEST_F(CheckpointFaultTest, ShortWritesAreContinued) {
  start_anew();
  const FaultAtCall fault(2, {.error = 0, .most_bytes = 1});
  EXPECT_EQ(write_step_2(), "");
  EXPECT_EQ(read_file(folder() / "last.h5"), bytes_of(2));
}

TEST_F(CheckpointFaultTest, ADiskThatFillsUpMidwayLeavesTheOldCheckpoint) {
  start_anew();
  int writes = 0;
  set_file_fault_hook([&](FileCall call, const fs::path&) -> FileFault {
    if (call != FileCall::write) return {};
    return ++writes < 3 ? FileFault{.error = 0, .most_bytes = 700} : FileFault{.error = ENOSPC};
  });
  const std::string error = write_step_2();
  set_file_fault_hook({});
  EXPECT_THAT(error, HasSubstr("step-00000002.h5.tmp: cannot write: No space left on device"));
  EXPECT_EQ(read_file(folder() / "last.h5"), bytes_of(1));
  expect_no_temporary_file("after a full disk");
}

TEST_F(CheckpointFaultTest, AProcessKilledAtAnyCallLeavesTheOldOrTheNewCheckpoint) {
  bool finished = false;
  int n = 0;
  for (n = 1; !finished && n < 100; ++n) {
    start_anew();
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const FaultAtCall fault(n, {}, true);
      _exit(write_step_2().empty() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    finished = WIFEXITED(status);
    if (finished) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
    }
    const std::string when = concat("killed at call ", n);
    expect_step_1_or_2(when);
    EXPECT_EQ(write_step_2(), "") << "after " << when;
    expect_no_temporary_file(concat("after the run that followed, ", when));
    EXPECT_EQ(read_file(folder() / "last.h5"), bytes_of(2)) << "after " << when;
  }
  EXPECT_GT(n, 8);
}

// The test starts its own program again with the variable set.
TEST_F(CheckpointFaultTest, AnEnvironmentVariableCanSayTheFault) {
  start_anew();
  if (std::getenv("LOCKSTEP_FILE_FAULT") == nullptr) {
    const std::string again = concat(fs::read_symlink("/proc/self/exe").string(),
                                     " --gtest_filter=*AnEnvironmentVariableCanSayTheFault");
    EXPECT_EQ(std::system(concat("LOCKSTEP_FILE_FAULT=write:2:ENOSPC ", again).c_str()), 0);
    return;
  }
  EXPECT_THAT(write_step_2(), HasSubstr("No space left on device"));
  EXPECT_EQ(write_step_2(), "");
}

TEST_F(CheckpointFaultTest, AFailingQuestionForFreeSpaceIsAnError) {
  const FaultAtCall fault(1, {.error = EIO});
  EXPECT_THAT(test::refusal([&] { require_free_space(parent_.path(), 1); }),
              HasSubstr("cannot statvfs"));
}

}  // namespace
}  // namespace lockstep
