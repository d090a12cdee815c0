// CUDA's words for host compilers, so that kernels run without a GPU: blocks one after the other,
// the threads of a block as fibers that take turns at barriers and shuffles.
//
// Included before everything else (-include), it makes framework/device/simt.hpp and the kernels
// ordinary C++. It is stricter than a GPU: shared memory holds NaN when a block begins, a barrier
// that not all threads of the block reach and a shuffle that not all lanes of a warp reach end the
// program with a message, and both orders of threads (see Schedule) must give the same results.
#pragma once

#define LOCKSTEP_SIMT_SHIM

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

namespace lockstep {
struct Stream;
namespace simt {

struct Grid;

// In which order runnable fibers run: one step of every thread in turn, from the first to the last
// or from the last to the first; or one warp as far as it can go before the next warp begins.
enum class Schedule : uint8_t { round_robin, reversed, greedy };
void set_schedule(Schedule schedule);

struct Index {
  unsigned x, y, z;
};
// Of the fiber that runs.
struct Place {
  Index thread, block, block_size, grid_size;
};
const Place& place();

// Runs body once per thread of the grid.
void run(const Grid& grid, const std::function<void()>& body);
void barrier(const char* where);
// Waits for all lanes of the warp; then returns what lane `lane` gave.
uint64_t exchange(unsigned mask, uint64_t value, unsigned lane, const char* where);
// The block's array of the place `key`, made and filled with ones (NaN) when first asked for.
void* shared_memory(const void* key, size_t bytes);

template <class T>
T shuffle(unsigned mask, T value, unsigned lane, const char* where) {
  static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable_v<T>);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange(mask, bits, lane, where);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline unsigned lane_number() {
  const Place& p = place();
  return (p.thread.y * p.block_size.x + p.thread.x) % 32;
}

template <class T, int N, class Site>
T* shared_array(Site) {
  static const char key = 0;
  return static_cast<T*>(shared_memory(&key, sizeof(T) * N));
}

void* allocate(int64_t bytes);
void release(void* memory) noexcept;
void upload(void* device, const void* host, int64_t bytes);

template <class... P>
void launch(void (*kernel)(P...), const Grid& grid, Stream*, std::type_identity_t<P>... arguments) {
  run(grid, [&] { kernel(arguments...); });
}

}  // namespace simt
}  // namespace lockstep

#define SIMT_TEXT_(x) #x
#define SIMT_TEXT(x) SIMT_TEXT_(x)
#define SIMT_HERE __FILE__ ":" SIMT_TEXT(__LINE__)
#define threadIdx (::lockstep::simt::place().thread)
#define blockIdx (::lockstep::simt::place().block)
#define blockDim (::lockstep::simt::place().block_size)
#define gridDim (::lockstep::simt::place().grid_size)
#define __syncthreads() ::lockstep::simt::barrier(SIMT_HERE)
#define __shfl_xor_sync(mask, value, lanes) \
  ::lockstep::simt::shuffle(mask, value, ::lockstep::simt::lane_number() ^ (lanes), SIMT_HERE)
