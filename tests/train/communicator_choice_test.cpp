// Which communicator "auto" is, and which do not go with a device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "recipe/fake_plugins.hpp"
#include "support/expect_error.hpp"
#include "support/simulated_device.hpp"
#include "support/simulated_ranks.hpp"
#include "train/session.hpp"

namespace lockstep {
namespace {

using testing::expect_error;

class CommunicatorChoiceTest : public ::testing::Test {
 protected:
  CommunicatorChoiceTest() { start_alone(); }
  ~CommunicatorChoiceTest() override { start_alone(); }

  static void start_alone() {
    for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
      unsetenv(name);
    }
  }
  static void start_among_ranks() { setenv("OMPI_COMM_WORLD_RANK", "0", 1); }

  static std::string choice(const std::vector<std::string>& sets = {}) {
    Registry registry;
    return communicator_name(parse(kSmallest, sets), registry);
  }
};

TEST_F(CommunicatorChoiceTest, AutoIsLocalAloneAndMpiOrNcclAmongRanks) {
  EXPECT_EQ(choice(), "local");
  EXPECT_EQ(choice({"device.name=cuda"}), "local");
  start_among_ranks();
  EXPECT_EQ(choice({"device.name=cpu"}), "mpi");
  EXPECT_EQ(choice({"device.name=cuda"}), "nccl");
  EXPECT_EQ(choice({"device.name=cuda", "communicator.name=mpi"}), "mpi");
}

TEST_F(CommunicatorChoiceTest, RefusesACommunicatorThatCannotReachTheDevicesMemory) {
  using testing::SimulatedDevice;
  testing::SimulatedRanks two(2);
  testing::SimulatedRanks one(1);
  Registry registry;
  const DeviceEntry& reference = registry.find_device("reference");
  const auto on_host = reference.make({});
  const SimulatedDevice on_device(reference.make({}), {});
  const CommunicationThread host_sums([&] { return two.make(0, false); }, 60);
  const CommunicationThread device_sums([&] { return two.make(1, true); }, 60);
  const CommunicationThread alone([&] { return one.make(0, false); }, 60);
  const auto check = [&](const CommunicationThread& communication, const Device& device,
                         const std::string& name) {
    require_common_memory(parse(kSmallest, {"communicator.name=" + name}), registry, device,
                          communication);
  };
  EXPECT_NO_THROW(check(host_sums, *on_host, "mpi"));
  EXPECT_NO_THROW(check(device_sums, on_device, "nccl"));
  EXPECT_NO_THROW(check(alone, on_device, "local"));
  expect_error([&] { check(host_sums, on_device, "mpi"); }, Failure::usage,
               "the communicator mpi sums in memory of the host, where the device simulated has "
               "nothing; expected one that goes with the device; set communicator.name = \"nccl\"");
  expect_error([&] { check(device_sums, *on_host, "nccl"); }, Failure::usage,
               "the communicator nccl sums on GPUs, where the device reference has nothing; "
               "expected one that goes with the device; set communicator.name = \"mpi\"");
}

}  // namespace
}  // namespace lockstep
