// Sums over the rows of a matrix per channel, in two launches: every block sums its rows, then a
// warp per sum adds what the blocks have. All in double and in a fixed order.
#pragma once

#include "columns.cuh"
#include "kernels.hpp"
#include "reduce.cuh"

namespace lockstep::cuda {

template <int kSums>
int64_t sums_workspace_bytes(const Columns& columns) {
  return int64_t{kSums} * columns.vectors() * simt::kVector * grid_of(columns).blocks_y *
         static_cast<int64_t>(sizeof(double));
}

// partial (kSums, vectors * 8, blocks) <- the sums of each block's rows. term.prepare(columns,
// channel) is called once per thread; term(place, terms) gives what a row adds.
template <int kSums, class Term>
__global__ void __launch_bounds__(kColumnThreads)
    partial_sums_kernel(Columns columns, Term term, double* partial) {
  double* const values = simt::shared_array<double, kColumnThreads>([] {});
  const int64_t channel = column_channel();
  double sums[kSums][simt::kVector] = {};
  if (channel < columns.stored) {
    term.prepare(columns, channel);
    for_each_row(columns, channel, [&](int64_t at) {
      double terms[kSums][simt::kVector];
      term(at, terms);
#pragma unroll
      for (int s = 0; s < kSums; ++s) {
#pragma unroll
        for (int k = 0; k < simt::kVector; ++k) sums[s][k] += terms[s][k];
      }
    });
  }
  const unsigned self = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
#pragma unroll
    for (int k = 0; k < simt::kVector; ++k) {
      values[self] = sums[s][k];
      __syncthreads();
      if (threadIdx.y == 0 && channel < columns.stored) {
        double sum = values[threadIdx.x];
        for (unsigned y = 1; y < blockDim.y; ++y) sum += values[y * blockDim.x + threadIdx.x];
        const int64_t place = s * columns.vectors() * simt::kVector + channel + k;
        partial[place * gridDim.y + blockIdx.y] = sum;
      }
      __syncthreads();
    }
  }
}

// finish(number of the sum, channel, sum) for every sum of existing channels: a warp takes one.
template <int kSums, class Finish>
__global__ void finish_sums_kernel(Columns columns, int blocks, const double* partial,
                                   Finish finish) {
  const int64_t warp = simt::thread_number() / simt::kWarp;
  const auto lane = static_cast<int>(threadIdx.x % simt::kWarp);
  const int64_t channels = columns.vectors() * simt::kVector;
  // The same for all lanes of a warp.
  if (warp >= kSums * channels) return;
  double sum = 0;
  for (int block = lane; block < blocks; block += simt::kWarp) {
    sum += partial[warp * blocks + block];
  }
  sum = combine_warp(sum, Sum());
  const int64_t channel = warp % channels;
  if (lane == 0 && channel < columns.channels) {
    finish(static_cast<int>(warp / channels), channel, sum);
  }
}

template <int kSums, class Term, class Finish>
void launch_sums(const Columns& columns, Term term, Finish finish, void* workspace,
                 Stream* stream) {
  auto* const partial = static_cast<double*>(workspace);
  const simt::Grid grid = grid_of(columns);
  simt::launch(&partial_sums_kernel<kSums, Term>, grid, stream, columns, term, partial);
  simt::launch(&finish_sums_kernel<kSums, Finish>,
               simt::grid_of_warps(kSums * columns.vectors() * simt::kVector), stream, columns,
               static_cast<int>(grid.blocks_y), partial, finish);
}

}  // namespace lockstep::cuda
