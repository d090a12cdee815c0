// The fibers that run kernels as host code are as strict as promised: otherwise the tests of the
// kernels would prove little.
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <vector>

#include "device/simt.hpp"

namespace lockstep::simt {
namespace {

constexpr Schedule kSchedules[] = {Schedule::round_robin, Schedule::reversed, Schedule::greedy};

__global__ void numbers_kernel(int* out) {
  const unsigned in_block = threadIdx.y * blockDim.x + threadIdx.x;
  const unsigned block = blockIdx.y * gridDim.x + blockIdx.x;
  out[block * blockDim.x * blockDim.y + in_block] = static_cast<int>(block * 1000 + in_block);
}

TEST(ShimTest, RunsEveryThreadOfEveryBlockOnce) {
  std::vector<int> out(2 * 3 * 8 * 5, -1);
  launch(&numbers_kernel, {.blocks_x = 2, .blocks_y = 3, .threads_x = 8, .threads_y = 5}, nullptr,
         out.data());
  for (size_t i = 0; i < out.size(); ++i) {
    EXPECT_EQ(out[i], static_cast<int>(i / 40 * 1000 + i % 40));
  }
}

__global__ void reverse_kernel(int* values) {
  int* const shared = shared_array<int, 64>([] {});
  shared[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = shared[63 - threadIdx.x];
}

TEST(ShimTest, KeepsBarriersInEveryOrderOfThreads) {
  for (Schedule schedule : kSchedules) {
    set_schedule(schedule);
    std::array<int, 64> values;
    std::iota(values.begin(), values.end(), 0);
    launch(&reverse_kernel, {.threads_x = 64}, nullptr, values.data());
    for (int i = 0; i < 64; ++i) EXPECT_EQ(values[static_cast<size_t>(i)], 63 - i);
  }
  set_schedule(Schedule::round_robin);
}

__global__ void sum_kernel(const double* in, double* out) {
  double sum = in[threadIdx.x];
  for (unsigned lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(kAllLanes, sum, lanes);
  out[threadIdx.x] = sum;
}

TEST(ShimTest, ShufflesWithinWarpsInEveryOrderOfThreads) {
  std::array<double, 96> in;
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<double>(i);
  for (Schedule schedule : kSchedules) {
    set_schedule(schedule);
    std::array<double, 96> out{};
    launch(&sum_kernel, {.threads_x = 96}, nullptr, in.data(), out.data());
    for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], 496.0 + 1024.0 * (i / 32));
  }
  set_schedule(Schedule::round_robin);
}

__global__ void uninitialised_kernel(float* out) {
  const float* const shared = shared_array<float, 4>([] {});
  float* const other = shared_array<float, 4>([] {});
  other[threadIdx.x] = 1;
  __syncthreads();
  out[4 * blockIdx.x + threadIdx.x] = shared[threadIdx.x];
}

TEST(ShimTest, FillsSharedMemoryWithNaNAnewForEveryBlock) {
  std::array<float, 8> out{};
  launch(&uninitialised_kernel, {.blocks_x = 2, .threads_x = 4}, nullptr, out.data());
  for (float value : out) EXPECT_TRUE(std::isnan(value));
}

// --- what must not pass

__global__ void divergent_kernel() {
  if (threadIdx.x < 7) __syncthreads();
}
__global__ void two_barriers_kernel() {
  if (threadIdx.x < 7) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void half_a_warp_kernel() {
  if (threadIdx.x < 16) __shfl_xor_sync(kAllLanes, 1, 1);
}
__global__ void few_lanes_kernel() { __shfl_xor_sync(0xffffu, 1, 1); }
__global__ void overrun_kernel() {
  int* const shared = shared_array<int, 32>([] {});
  shared[threadIdx.x + 1] = 1;
}

TEST(ShimDeathTest, EndsTheProgramAtMisuse) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(launch(&divergent_kernel, {.threads_x = 32}, nullptr), "not all threads reach");
  EXPECT_DEATH(launch(&two_barriers_kernel, {.threads_x = 32}, nullptr), "at different places");
  EXPECT_DEATH(launch(&half_a_warp_kernel, {.threads_x = 32}, nullptr), "not all threads reach");
  EXPECT_DEATH(launch(&few_lanes_kernel, {.threads_x = 32}, nullptr), "without all lanes");
  EXPECT_DEATH(launch(&overrun_kernel, {.threads_x = 32}, nullptr), "heap-buffer-overflow");
}

}  // namespace
}  // namespace lockstep::simt
