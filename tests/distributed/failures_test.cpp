// LABELS: mpi fault
// Whatever happens to one rank, all end, mpirun with the right exit status, and one line says why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "runtime/guard.hpp"
#include "support/mpi_run.hpp"

namespace lockstep {
namespace {

using test::communicate;
using test::MpiRun;
using test::on_ranks;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

[[noreturn]] void wait_for_the_others(CommunicationThread& communication) {
  while (true) communication.barrier("step 7");
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(MpiFailuresTest, AnErrorOnOneRankEndsAllWithItsExitCodeAndOneLine) {
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 3) << run->output;
    EXPECT_THAT(run->output, HasSubstr(concat("lockstep: rank 1 of 3 on ", host_name(),
                                              ": step 7: labels are missing\n")));
    EXPECT_EQ(count(run->output, "lockstep: rank"), 1) << run->output;
    return;
  }
  const auto communication = communicate("mpi", 60);
  communication->barrier("start");
  if (communication->rank() == 1)
    die(Error(Failure::data, "labels are missing"), "step 7", communication.get());
  wait_for_the_others(*communication);
}

TEST(MpiFailuresTest, ErrorsOfSeveralThreadsOfARankArePrintedOnce) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 3) << run->output;
    EXPECT_EQ(count(run->output, "lockstep: rank"), 1) << run->output;
    return;
  }
  const auto communication = communicate("mpi", 60);
  communication->barrier("start");
  if (communication->rank() == 0) wait_for_the_others(*communication);
  const auto fail_here = [&] {
    die(Error(Failure::data, "labels are missing"), "", communication.get());
  };
  std::thread first(fail_here);
  std::thread second(fail_here);
  first.join();
  second.join();
}

TEST(MpiFailuresTest, LeavingByAnExceptionEndsAll) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 1) << run->output;
    EXPECT_THAT(run->output, HasSubstr("rank 0 of 2"));
    return;
  }
  const auto communication = communicate("mpi", 60);
  communication->barrier("start");
  if (communication->rank() == 1) wait_for_the_others(*communication);
  throw std::runtime_error("nobody catches this in time");
}

TEST(MpiFailuresTest, AWrongCollectiveIsAnErrorOfThatRank) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 5) << run->output;
    EXPECT_THAT(run->output, HasSubstr("rank 1 of 2"));
    EXPECT_THAT(run->output, HasSubstr("bucket 3: communicator mpi: an all-reduce of i32"));
    return;
  }
  const auto communication = communicate("mpi", 60);
  communication->barrier("start");
  if (communication->rank() == 0) wait_for_the_others(*communication);
  int32_t value = 1;
  communication->wait(
      communication->post_all_reduce(&value, 1, DType::i32, Memory::host, nullptr, "bucket 3"));
}

TEST(MpiFailuresTest, AnMpiErrorIsSaidInMpisWords) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 5) << run->output;
    EXPECT_THAT(run->output,
                HasSubstr("parameters: communicator mpi: MPI_Ibcast failed: MPI_ERR_ROOT"));
    return;
  }
  const auto communication = communicate("mpi", 60);
  int32_t value = 1;
  communication->wait(communication->post_broadcast(&value, 4, 17, Memory::host, "parameters"));
}

TEST(MpiFailuresTest, AKilledRankEndsAll) {
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 137) << run->output;
    return;
  }
  const auto communication = communicate("mpi", 60);
  communication->barrier("start");
  if (communication->rank() == 2) kill(getpid(), SIGKILL);
  wait_for_the_others(*communication);
}

TEST(MpiFailuresTest, AStoppedRankEndsAllByTheDeadline) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 5) << run->output;
    EXPECT_THAT(run->output,
                AllOf(HasSubstr("lockstep: rank 0 of 2 on "),
                      HasSubstr("'step 7' has waited for other ranks for 3 s"),
                      HasSubstr(concat("rank 1 on ", host_name(), " does not answer"))));
    return;
  }
  const auto communication = communicate("mpi", 3);
  communication->barrier("start");
  if (communication->rank() == 1) kill(getpid(), SIGSTOP);
  wait_for_the_others(*communication);
}

TEST(MpiFailuresTest, ARankThatComputesWithoutEndEndsAllByTheDeadline) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 5) << run->output;
    EXPECT_THAT(run->output, HasSubstr("lockstep: rank 0 of 2 on "));
    EXPECT_THAT(run->output, Not(HasSubstr("lockstep: rank 1 of 2")));
    EXPECT_THAT(run->output,
                HasSubstr(concat("rank 1 on ", host_name(), " answers but has not come so far")));
    return;
  }
  const auto communication = communicate("mpi", 2);
  communication->barrier("start");
  if (communication->rank() == 1) pause();
  wait_for_the_others(*communication);
}

TEST(MpiFailuresTest, ARankThatEndsEarlyEndsAllByTheDeadline) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 5) << run->output;
    return;
  }
  const auto communication = communicate("mpi", 2);
  communication->barrier("start");
  if (communication->rank() == 1) wait_for_the_others(*communication);
}

TEST(MpiFailuresTest, TimeInWhichARankItselfWasStoppedDoesNotCount) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi", 2);
  communication->barrier("start");
  // All ranks stop for longer than the timeout, as a suspended job does; then all go on.
  const pid_t self = getpid();
  if (fork() == 0) {
    kill(self, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::seconds(4));
    kill(self, SIGCONT);
    _exit(0);
  }
  for (int turn = 0; turn < 3000; ++turn) communication->barrier("turn");
}

}  // namespace
}  // namespace lockstep
