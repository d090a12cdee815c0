// LABELS: mpi
// NEEDS: cuda
// What of NCCL works without a GPU: the plugin loads, ranks exchange NCCL's id
// and see that no two have one GPU, and where there is no driver all end with
// one line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "device/host_device.hpp"
#include "joining.hpp"
#include "runtime/guard.hpp"
#include "support/mpi_run.hpp"

namespace lockstep {
namespace {

using test::on_ranks;
using testing::AllOf;
using testing::HasSubstr;

constexpr double kTimeout = 30;

Registry& registry() {
  static Registry registry;
  return registry;
}

std::unique_ptr<Communicator> mpi() { return registry().find_communicator("mpi").make({kTimeout}); }

std::unique_ptr<Communicator> nccl_among_ranks(double timeout_seconds) {
  return registry().find_communicator("nccl").make(
      {.timeout_seconds = timeout_seconds, .make_host = mpi});
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

void finish(const std::unique_ptr<Pending>& pending) {
  while (!pending->test()) {
  }
}

void expect_one_id() {
  const auto host = mpi();
  const ncclUniqueId id = nccl::share_unique_id(*host, nccl::Polling(*host, kTimeout));
  std::vector<ncclUniqueId> ids(static_cast<size_t>(host->world_size()));
  finish(host->start_all_gather(&id, ids.data(), sizeof id));
  std::set<std::string> different;
  for (const ncclUniqueId& other : ids) different.emplace(other.internal, sizeof other.internal);
  EXPECT_EQ(different.size(), 1u);
  EXPECT_NE(*different.begin(), std::string(sizeof id.internal, '\0'));
}

TEST(NcclTest, LoadsWithoutADriverAndNamesItsVersion) {
  EXPECT_THAT(registry().find_communicator("nccl").help, HasSubstr("NCCL 2."));
}

TEST(NcclTest, TwoRanksHaveRankZerosId) {
  if (const auto run = on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  expect_one_id();
}

TEST(NcclTest, FourRanksHaveRankZerosId) {
  if (const auto run = on_ranks(4)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  expect_one_id();
}

TEST(NcclTest, RefusesTwoRanksOnOneGpuNamingBoth) {
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto host = mpi();
  const nccl::Polling polling(*host, kTimeout);
  const std::string own = concat("GPU-", host->rank());
  EXPECT_NO_THROW(nccl::require_own_gpus(*host, polling, own));
  EXPECT_NO_THROW(nccl::require_own_gpus(*host, polling, "")) << "not known";
  try {
    nccl::require_own_gpus(*host, polling, host->rank() == 0 ? "GPU-a" : "GPU-b");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(concat("ranks 1 and 2 on ", host_name())),
                                    HasSubstr("both have the GPU GPU-b")));
  }
}

// Stands for a GPU as far as NCCL is concerned.
class FakeGpu final : public HostDevice {
 public:
  explicit FakeGpu(int rank) : rank_(rank) {}
  std::string_view name() const override { return "fake"; }
  std::string description() const override { return "fake"; }
  std::string unique_id() const override { return concat("GPU-", rank_); }

 private:
  int rank_;
};

TEST(NcclTest, WithoutADriverAllRanksEndWithOneLine) {
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "this machine has a driver";
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 5) << run->output;
    EXPECT_THAT(run->output,
                AllOf(HasSubstr(concat("lockstep: rank 0 of 3 on ", host_name(),
                                       ": attach: communicator nccl: ncclCommInitRankConfig")),
                      HasSubstr("NCCL_DEBUG=INFO")));
    EXPECT_EQ(count(run->output, "lockstep: rank"), 1) << run->output;
    return;
  }
  CommunicationThread communication([] { return nccl_among_ranks(kTimeout); }, kTimeout);
  FakeGpu gpu(communication.rank());
  communication.attach(gpu);
  FAIL() << "NCCL found a GPU";
}

TEST(NcclTest, NamesTheRankThatDoesNotComeToJoin) {
  if (const auto run = on_ranks(3)) {
    EXPECT_EQ(run->exit_code, 5) << run->output;
    EXPECT_THAT(run->output, HasSubstr("the exchange of GPUs' names has waited for other ranks for "
                                       "1 s: rank 1 on " +
                                       host_name() + " answers but has not come so far"));
    return;
  }
  CommunicationThread communication([] { return nccl_among_ranks(1); }, kTimeout);
  FakeGpu gpu(communication.rank());
  if (communication.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(20));
  communication.attach(gpu);
  FAIL() << "all have come";
}

}  // namespace
}  // namespace lockstep
