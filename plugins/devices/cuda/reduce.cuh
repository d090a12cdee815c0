// Sums within a block in an order that is always the same.
#pragma once

#include "device/simt.hpp"

namespace lockstep::cuda {

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// Of float; NaN gives way to numbers.
struct Maximum {
  __device__ float operator()(float a, float b) const { return b > a || a != a ? b : a; }
};

template <class T, class Combine>
__device__ T combine_warp(T value, Combine combine) {
#pragma unroll
  for (int lanes = simt::kWarp / 2; lanes > 0; lanes /= 2) {
    value = combine(value, __shfl_xor_sync(simt::kAllLanes, value, lanes));
  }
  return value;
}

// The same on all threads of a block of kThreads in one dimension. `partial` holds one value per
// warp, and may be used again after the return.
template <int kThreads, class T, class Combine>
__device__ T combine_block(T value, T* partial, Combine combine) {
  constexpr int kWarps = kThreads / static_cast<int>(simt::kWarp);
  value = combine_warp(value, combine);
  if (threadIdx.x % simt::kWarp == 0) partial[threadIdx.x / simt::kWarp] = value;
  __syncthreads();
  T result = partial[0];
#pragma unroll
  for (int warp = 1; warp < kWarps; ++warp) result = combine(result, partial[warp]);
  __syncthreads();
  return result;
}

}  // namespace lockstep::cuda
