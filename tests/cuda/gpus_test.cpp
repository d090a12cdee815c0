// NEEDS: cuda
#include "gpus.hpp"

#include <gtest/gtest.h>

#include "cuda/planning.hpp"
#include "device.hpp"
#include "support/expect_error.hpp"

namespace lockstep::testing {
namespace {

using namespace lockstep::cuda;

TEST(GpusTest, EachRankOfAHostTakesAGpuOfItsOwn) {
  EXPECT_EQ(gpu_of_rank({.local_rank = 0, .local_size = 1}, 8), 0);
  EXPECT_EQ(gpu_of_rank({.local_rank = 3, .local_size = 4}, 4), 3);
}

TEST(GpusTest, MoreRanksThanGpusIsAnErrorThatCountsThem) {
  unsetenv("CUDA_VISIBLE_DEVICES");
  expect_error([] { gpu_of_rank({.local_rank = 1, .local_size = 3}, 2); }, Failure::device,
               "rank 1 of 3 on this host found 2 GPUs; expected one for each rank; start 2");
  expect_error([] { gpu_of_rank({.local_rank = 0, .local_size = 2}, 1); }, Failure::device,
               "found 1 GPU");
}

TEST(GpusTest, ARankThatIsShownOneGpuTakesIt) {
  setenv("CUDA_VISIBLE_DEVICES", "5", 1);
  EXPECT_EQ(gpu_of_rank({.local_rank = 5, .local_size = 8}, 1), 0);
  unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST(GpusTest, AGpuOlderThanWhatIsCompiledForIsRefusedByName) {
  const GpuProperties t4 = described_properties(device_description(75));
  expect_error([&] { require_compiled_for(t4); }, Failure::device, "Tesla T4 is sm_75");
  EXPECT_NO_THROW(require_compiled_for(described_properties(device_description(90))));
}

TEST(GpusTest, ADescriptionSaysWhatItLacks) {
  expect_error([] { described_properties("{\"deviceName\": \"x\"}"); }, Failure::device,
               "deviceVer");
  expect_error([] { described_properties("H100"); }, Failure::device, "device description");
}

TEST(GpusTest, ADeviceThatOnlyPlansHasNoMemory) {
  CudaDevice device(device_description(90), DeviceOptions{});
  EXPECT_FALSE(device.can_record());
  EXPECT_EQ(device.description().substr(0, 36), "cuda: NVIDIA H100 80GB HBM3, sm_90, ");
  expect_error([&] { device.allocate(64); }, Failure::device, "only plans");
}

}  // namespace
}  // namespace lockstep::testing
