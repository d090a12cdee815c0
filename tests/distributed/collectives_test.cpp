// LABELS: mpi
// Collectives of the communication thread over MPI: results, order, uneven ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include "base/half.hpp"
#include "runtime/guard.hpp"
#include "support/mpi_run.hpp"

namespace lockstep {
namespace {

using test::communicate;
using test::on_ranks;
using testing::ElementsAre;
using testing::HasSubstr;

// What rank r gives at index i: small integers, whose sums are exact in any order.
double given(int rank, int64_t i) { return static_cast<double>((rank + 1) * (i % 1000)); }
double expected(int ranks, int64_t i) {
  return static_cast<double>(ranks * (ranks + 1) / 2 * (i % 1000));
}

template <class T>
void expect_exact_sum(CommunicationThread& communication, int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    values[static_cast<size_t>(i)] = static_cast<T>(given(communication.rank(), i));
  communication.wait(communication.post_all_reduce(values.data(), count, DTypeOf<T>::value,
                                                   Memory::host, nullptr, "values"));
  int64_t wrong = 0;
  for (int64_t i = 0; i < count; ++i) {
    wrong +=
        values[static_cast<size_t>(i)] != static_cast<T>(expected(communication.world_size(), i));
  }
  EXPECT_EQ(wrong, 0) << "of " << count << ' ' << name(DTypeOf<T>::value);
}

TEST(MpiCollectivesTest, SumExactlyFromNoElementToManyPieces) {
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi");
  EXPECT_EQ(communication->world_size(), 3);
  EXPECT_EQ(communication->local_size(), 3);
  EXPECT_EQ(communication->local_rank(), communication->rank());
  for (const int64_t count : {0, 1, 7, 262'143, 262'144, 262'145, 3'000'000}) {
    expect_exact_sum<float>(*communication, count);
    expect_exact_sum<double>(*communication, count);
  }
}

TEST(MpiCollectivesTest, SumsOfBf16AreRoundedToEven) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi");
  // 8 bits: 257 lies between 256 and 258, 259 between 258 and 260.
  constexpr float kSums[] = {256, 260, 3};
  constexpr int64_t kCount = 1'000'000;  // some pieces
  std::vector<Bf16> values(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    const float mine[] = {communication->rank() == 0 ? 256.0f : 1.0f,
                          communication->rank() == 0 ? 256.0f : 3.0f,
                          static_cast<float>(communication->rank() + 1)};
    values[i] = from_float<Bf16>(mine[i % 3]);
  }
  communication->wait(communication->post_all_reduce(values.data(), kCount, DType::bf16,
                                                     Memory::host, nullptr, "values"));
  int64_t wrong = 0;
  for (size_t i = 0; i < kCount; ++i) wrong += to_float(values[i]) != kSums[i % 3];
  EXPECT_EQ(wrong, 0);
}

TEST(MpiCollectivesTest, SumsHaveTheSameBitsOnAllRanksAndEveryTime) {
  if (const auto run = on_ranks(4)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi");
  std::string first;
  for (int repetition = 0; repetition < 3; ++repetition) {
    std::vector<float> values(500'000);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] =
          1.0f / static_cast<float>(3 * i + 7 * static_cast<size_t>(communication->rank()) + 1);
    }
    communication->wait(communication->post_all_reduce(values.data(), 500'000, DType::f32,
                                                       Memory::host, nullptr, "values"));
    const std::string bits(reinterpret_cast<const char*>(values.data()), 4 * values.size());
    if (repetition == 0) first = bits;
    EXPECT_TRUE(bits == first);
    require_equal(*communication, "sums", bits);
  }
}

TEST(MpiCollectivesTest, ManyInFlightEachGiveTheirOwnResult) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi");
  constexpr int kCount = 200;
  std::vector<std::vector<float>> values;
  std::vector<CommunicationThread::Ticket> tickets;
  for (int k = 0; k < kCount; ++k)
    values.emplace_back(static_cast<size_t>(1 + 997 * k % 50'000), static_cast<float>(k));
  for (int k = 0; k < kCount; ++k) {
    tickets.push_back(
        communication->post_all_reduce(values[k].data(), static_cast<int64_t>(values[k].size()),
                                       DType::f32, Memory::host, nullptr, concat("bucket ", k)));
  }
  for (int k = kCount - 1; k >= 0; --k) {
    communication->wait(tickets[k]);
    EXPECT_TRUE(tickets[k].done());
    EXPECT_EQ(values[k].front(), static_cast<float>(2 * k));
    EXPECT_EQ(values[k].back(), static_cast<float>(2 * k));
  }
}

TEST(MpiCollectivesTest, BroadcastTextsOfAnyLengthFromAnyRank) {
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi");
  for (const size_t length :
       {size_t{0}, size_t{1}, size_t{1000}, (size_t{1} << 24) + 1, size_t{40'000'000}}) {
    for (const int root : {0, 2}) {
      std::string sent(length, static_cast<char>('a' + root));
      if (length > 0) sent.back() = '!';
      std::string text = communication->rank() == root ? sent : "something else";
      communication->broadcast(text, root, "text");
      EXPECT_TRUE(text == sent) << length << " bytes from rank " << root;
    }
  }
}

TEST(MpiCollectivesTest, GatherTextsOfDifferentLengthsInRankOrder) {
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi");
  const std::string mine[] = {"zero", "", std::string("tw\0o", 4)};
  EXPECT_THAT(communication->gather(mine[communication->rank()], "names"),
              ElementsAre(mine[0], mine[1], mine[2]));
  EXPECT_THAT(communication->gather("", "nothing"), ElementsAre("", "", ""));
}

TEST(MpiCollectivesTest, RanksMayComeAtDifferentTimesAndFromSeveralThreads) {
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi");
  for (int turn = 0; turn < 3; ++turn) {
    std::this_thread::sleep_for(
        std::chrono::milliseconds(100 * ((communication->rank() + turn) % 3)));
    double values[] = {1, 2};
    std::thread other([&] { communication->sum(values, "from another thread"); });
    other.join();
    EXPECT_THAT(values, ElementsAre(3, 6));
    communication->barrier("turn");
  }
}

TEST(MpiCollectivesTest, APauseLongerThanTheTimeoutWithNothingInFlightIsNoFailure) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi", 1);
  communication->barrier("before");
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  communication->barrier("after");
}

TEST(MpiCollectivesTest, RequireEqualNamesTheFirstRankThatDiffersAndBothTexts) {
  if (const auto run = on_ranks(4)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = communicate("mpi");
  EXPECT_NO_THROW(require_equal(*communication, "recipe", "same"));
  const std::string beginning(1000, 'x');
  try {
    require_equal(*communication, "recipe",
                  beginning + (communication->rank() >= 2 ? "lr = 0.2" : "lr = 0.1") + beginning);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(concat("recipe: rank 2 on ", host_name(), " has '…xxx")));
    EXPECT_THAT(error.what(), HasSubstr("lr = 0.2xxx"));
    EXPECT_THAT(error.what(), HasSubstr(concat("rank 0 on ", host_name(), " has '…xxx")));
    EXPECT_THAT(error.what(), HasSubstr("lr = 0.1xxx"));
    EXPECT_LT(std::strlen(error.what()), 400u);
  }
  communication->barrier("all go on");
}

}  // namespace
}  // namespace lockstep
