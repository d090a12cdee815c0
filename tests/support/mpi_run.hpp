// Tests whose body runs on several ranks: the test starts its own program again under mpirun, for
// itself alone.
//
//   TEST(MpiTest, SumsOverRanks) {
//     if (const auto run = on_ranks(3)) {   // true in the process that starts the ranks
//       EXPECT_EQ(run->exit_code, 0) << run->output;
//       return;
//     }
//     …                                     // here each rank
//   }
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "plugin/registry.hpp"
#include "runtime/communication_thread.hpp"

namespace lockstep::test {

struct MpiRun {
  int exit_code = 0;
  std::string output;  // standard output and error of all ranks
};

inline MpiRun run_command(const std::string& command) {
  MpiRun run;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {127, "cannot start " + command};
  char buffer[4096];
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe))
    run.output.append(buffer, count);
  const int status = pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

// "mpirun … -n RANKS". A hung job is killed after a minute and gives 124 or 137: the tests' bound,
// which none needs.
inline std::string mpirun_command(int ranks) {
  return concat(
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
      "OMPI_MCA_btl_vader_single_copy_mechanism=none "
      "OMP_NUM_THREADS=1 timeout -k 5 60 mpirun --oversubscribe --bind-to none -n ",
      ranks);
}

// In the starting process: runs the present test on so many ranks and gives the outcome. In a rank:
// nothing.
inline std::optional<MpiRun> on_ranks(int ranks) {
  if (std::getenv("LOCKSTEP_TEST_RANKS") != nullptr) return {};
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return run_command(concat("LOCKSTEP_TEST_RANKS=", ranks, ' ', mpirun_command(ranks), ' ',
                            std::filesystem::read_symlink("/proc/self/exe").string(),
                            " --gtest_brief=1", " --gtest_filter=", test->test_suite_name(), '.',
                            test->name()));
}

// A communication thread over the plugin of that name. The plugins stay loaded, as in the command.
inline std::unique_ptr<CommunicationThread> communicate(const std::string& name,
                                                        double timeout_seconds = 30) {
  static Registry registry;
  const CommunicatorEntry& entry = registry.find_communicator(name);
  return std::make_unique<CommunicationThread>([&] { return entry.make({timeout_seconds}); },
                                               timeout_seconds);
}

}  // namespace lockstep::test
