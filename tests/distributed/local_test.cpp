// The communicator of one rank, and what the communication thread does without other ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "runtime/guard.hpp"
#include "support/mpi_run.hpp"

namespace lockstep {
namespace {

using test::communicate;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(LocalCommunicatorTest, IsRankZeroOfOne) {
  const auto communication = communicate("local");
  EXPECT_EQ(communication->rank(), 0);
  EXPECT_EQ(communication->world_size(), 1);
  EXPECT_EQ(communication->local_rank(), 0);
  EXPECT_EQ(communication->local_size(), 1);
  EXPECT_FALSE(communication->stream_ordered());
}

TEST(LocalCommunicatorTest, EveryCollectiveIsTheIdentity) {
  const auto communication = communicate("local");
  float values[] = {1.5f, -0.0f, std::numeric_limits<float>::infinity()};
  const auto ticket =
      communication->post_all_reduce(values, 3, DType::f32, Memory::host, nullptr, "bucket");
  communication->wait(ticket);
  EXPECT_TRUE(ticket.done());
  EXPECT_THAT(values, ElementsAre(1.5f, -0.0f, std::numeric_limits<float>::infinity()));

  double sums[] = {0.1};
  communication->sum(sums, "sums");
  EXPECT_EQ(sums[0], 0.1);
  std::string text = "text";
  communication->broadcast(text, 0, "text");
  EXPECT_EQ(text, "text");
  EXPECT_THAT(communication->gather("mine", "gather"), ElementsAre("mine"));
  communication->barrier("barrier");
  EXPECT_NO_THROW(require_equal(*communication, "recipe", "any"));
}

TEST(CommunicationThreadTest, ThrowsInTheConstructorWhatMakingTheCommunicatorThrows) {
  const auto make = []() -> std::unique_ptr<Communicator> { fail(Failure::device, "no network"); };
  EXPECT_THROW(CommunicationThread(make, 1), Error);
}

TEST(CommunicationThreadTest, ATicketOfNothingIsDone) {
  const auto communication = communicate("local");
  const CommunicationThread::Ticket ticket;
  EXPECT_TRUE(ticket.done());
  communication->wait(ticket);
}

TEST(CommunicationThreadTest, FinishesWhatWasPostedBeforeItEnds) {
  CommunicationThread::Ticket last;
  float value = 1;
  {
    const auto communication = communicate("local");
    for (int i = 0; i < 1000; ++i)
      last = communication->post_all_reduce(&value, 1, DType::f32, Memory::host, nullptr, "x");
  }
  EXPECT_TRUE(last.done());
}

using LocalDeathTest = testing::Test;

TEST_F(LocalDeathTest, DyingPrintsOneLineAndLeavesWithTheErrorsCode) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        const auto communication = communicate("local");
        die(Error(Failure::checkpoint, "no room"), "saving", communication.get());
      },
      testing::ExitedWithCode(4), "^lockstep: rank 0 of 1 on [^ ]*: saving: no room\n");
  EXPECT_EXIT(die(Error(Failure::usage, "no recipe"), "", nullptr), testing::ExitedWithCode(2),
              "^lockstep: no recipe\n");
}

}  // namespace
}  // namespace lockstep
