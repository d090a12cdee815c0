// What the code of GPUs is written with beside CUDA's own words (__global__, __device__,
// threadIdx, __syncthreads, shuffles): launches, arrays that a block shares, tables in device
// memory.
//
// It is compiled by nvcc; or by a host compiler that includes tests/simt/shim/simt_shim.hpp before
// everything else, which runs threads as fibers. Everywhere else this header is empty.
#pragma once

#if defined(__CUDACC__) || defined(LOCKSTEP_SIMT_SHIM)

#include <cstdint>
#include <span>
#include <type_traits>

#include "base/error.hpp"
#include "device/device.hpp"

namespace lockstep::simt {

constexpr unsigned kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffff;

// How many blocks of how many threads. Nothing is launched where there are no blocks.
struct Grid {
  unsigned blocks_x = 1, blocks_y = 1;
  unsigned threads_x = 256, threads_y = 1;
};

// Enough threads for `count` items, at most so many blocks that a loop with the stride of the grid
// keeps every GPU busy.
inline Grid grid_for(int64_t count, unsigned threads = 256) {
  constexpr int64_t kMostBlocks = 1 << 14;
  const int64_t blocks = (count + threads - 1) / threads;
  return {.blocks_x = static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks),
          .threads_x = threads};
}

// A warp for each of `count` items.
inline Grid grid_of_warps(int64_t count) {
  constexpr unsigned kThreads = 256;
  constexpr int64_t kWarpsOfBlock = kThreads / kWarp;
  return {.blocks_x = static_cast<unsigned>((count + kWarpsOfBlock - 1) / kWarpsOfBlock),
          .threads_x = kThreads};
}

#if defined(__CUDACC__)

// Throws Error{device} where CUDA reports an error.
inline void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  fail(Failure::device, "device cuda: ", what, " failed: ", cudaGetErrorString(status));
}

template <class... P>
void launch(void (*kernel)(P...), const Grid& grid, Stream* stream,
            std::type_identity_t<P>... arguments) {
  if (grid.blocks_x == 0 || grid.blocks_y == 0) return;
  kernel<<<dim3(grid.blocks_x, grid.blocks_y), dim3(grid.threads_x, grid.threads_y), 0,
           reinterpret_cast<cudaStream_t>(stream)>>>(arguments...);
  check(cudaGetLastError(), "a launch");
}

// An array of N elements that the threads of a block share; every place in the code, a lambda
// without captures, has one of its own.
template <class T, int N, class Site>
__device__ T* shared_array(Site) {
  __shared__ T elements[N];
  return elements;
}

inline void* allocate(int64_t bytes) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, static_cast<size_t>(bytes)), "allocating a table");
  return memory;
}
inline void release(void* memory) noexcept { cudaFree(memory); }
inline void upload(void* device, const void* host, int64_t bytes) {
  check(cudaMemcpy(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice),
        "copying a table");
  // The copy may still be under way, and no other stream waits for it.
  check(cudaStreamSynchronize(cudaStreamLegacy), "copying a table");
}

#endif

// What a kernel looks up, in device memory: copied there while the kernel is prepared.
template <class T>
class Table {
 public:
  explicit Table(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = static_cast<int64_t>(values.size_bytes());
    if (bytes == 0) return;
    data_ = static_cast<T*>(allocate(bytes));
    upload(data_, values.data(), bytes);
  }
  Table(Table&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
  Table& operator=(Table&&) = delete;
  ~Table() {
    if (data_ != nullptr) release(data_);
  }
  const T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

// Whether the calling thread is the first of its grid.
__device__ inline bool first_thread() {
  return blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.x == 0 && threadIdx.y == 0;
}
// The thread's number in a grid of one dimension, and how many there are.
__device__ inline int64_t thread_number() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t thread_count() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

}  // namespace lockstep::simt

#endif
