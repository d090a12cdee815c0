// Walks over the rows of matrices whose columns are channels: images as (N * H * W, stored
// channels). A thread keeps eight channels and takes every so many rows; so what belongs to a
// channel is read once, and sums over rows are made in an order that depends on the extents alone.
#pragma once

#include <algorithm>

#include "device/simt_vector.hpp"
#include "requests.hpp"

namespace lockstep::cuda {

constexpr int kColumnThreads = 256;

struct Columns {
  int64_t rows, channels, stored;

  explicit Columns(const Images& images)
      : rows(images.pixels()), channels(images.channels), stored(images.stored_channels) {}
  Columns(int64_t all_rows, int64_t all_channels, int64_t stored_channels)
      : rows(all_rows), channels(all_channels), stored(stored_channels) {}

  LS_HD int64_t vectors() const { return (stored + simt::kVector - 1) / simt::kVector; }
  // Whether every row begins where vectors may. Images always do, matrices not.
  LS_HD bool aligned() const { return stored % simt::kVector == 0; }
};

// Threads along x take neighbouring vectors of channels, those along y neighbouring rows.
inline simt::Grid grid_of(const Columns& columns) {
  constexpr int64_t kRowsPerThread = 8, kMostBlocks = 2048;
  unsigned across = 1;
  while (across < simt::kWarp && across < columns.vectors()) across *= 2;
  simt::Grid grid{.threads_x = across, .threads_y = kColumnThreads / across};
  grid.blocks_x = static_cast<unsigned>((columns.vectors() + across - 1) / across);
  const int64_t rows_per_block = int64_t{grid.threads_y} * kRowsPerThread;
  const int64_t wanted = (columns.rows + rows_per_block - 1) / rows_per_block;
  const int64_t most = std::max<int64_t>(kMostBlocks / std::max(grid.blocks_x, 1u), 1);
  // One block at least, so that sums over no rows are written.
  grid.blocks_y = static_cast<unsigned>(std::clamp<int64_t>(wanted, 1, most));
  return grid;
}

// The first channel of the thread.
__device__ inline int64_t column_channel() {
  return (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * simt::kVector;
}

// Calls body(place of the row's first channel of this thread) for the thread's rows.
template <class Body>
__device__ void for_each_row(const Columns& columns, int64_t channel, Body body) {
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.y;
  int64_t row = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y;
  for (; row < columns.rows; row += step) body(row * columns.stored + channel);
}

// Eight channels of a row, where rows may be unaligned; `left`: of the row from there on.
template <class T>
__device__ simt::Floats load_row(const T* from, bool aligned, int64_t left) {
  if (aligned) return simt::load(from);
  simt::Floats floats;
#pragma unroll
  for (int k = 0; k < simt::kVector; ++k) floats[k] = k < left ? to_float(from[k]) : 0.0f;
  return floats;
}
template <class T>
__device__ void store_row(T* to, const simt::Floats& floats, bool aligned, int64_t left) {
  if (aligned) return simt::store(to, floats);
#pragma unroll
  for (int k = 0; k < simt::kVector; ++k) {
    if (k < left) to[k] = from_float<T>(floats[k]);
  }
}

// Eight of an array of one float per channel; zeros past the end.
__device__ inline simt::Floats load_channels(const float* array, int64_t first, int64_t channels) {
  simt::Floats floats;
#pragma unroll
  for (int k = 0; k < simt::kVector; ++k) {
    floats[k] = first + k < channels ? array[first + k] : 0.0f;
  }
  return floats;
}

}  // namespace lockstep::cuda
