// How batch normalisation walks an image batch: a pass that sums, then a pass that uses the sums.
//
// The work is divided into tasks (block of channels, slice of the samples). Where there are enough
// blocks, a slice is the whole batch and a task does both passes while its data is in the core's
// cache. Else groups of blocks that fit the shared cache take both passes one after the other, all
// threads together.
#pragma once

#include "batch_norm_loops.hpp"
#include "device.hpp"

namespace lockstep::cpu {

// Elements walked between two additions to sums in double precision: they stay in the first cache
// for a second look, and float sums of kChunk / kLanes elements are exact to about 1e-7.
constexpr int64_t kChunk = 8192;

struct Division {
  int64_t slices = 1;        // of the samples, for each block
  int64_t group_blocks = 1;  // blocks that take both passes together, if slices > 1

  static Division of(const ImageView& view, int threads) {
    constexpr int64_t kOwnBytes = 512 << 10;   // of one tensor in a core's cache
    constexpr int64_t kSharedBytes = 8 << 20;  // of one tensor in the shared cache
    const int64_t block_bytes = std::max<int64_t>(1, view.batch * view.row() * 4);
    if (threads == 1 || (view.blocks >= 4 * threads && block_bytes <= kOwnBytes)) return {};
    const int64_t tasks = 4 * threads;
    const int64_t group = std::clamp<int64_t>(kSharedBytes / block_bytes, 1, view.blocks);
    const int64_t slices = std::clamp<int64_t>((tasks + group - 1) / group, 2, 64);
    return {std::max<int64_t>(1, std::min(slices, view.batch)), group};
  }
};

// first(block, slice) for all slices of a block comes before second(block, slice) for any of them.
template <class First, class Second>
void run_passes(CpuDevice& device, const ImageView& view, const Division& division, First&& first,
                Second&& second) {
  if (division.slices == 1) {
    device.parallel_tasks(view.blocks, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) first(b, int64_t{0}), second(b, int64_t{0});
    });
    return;
  }
  for (int64_t base = 0; base < view.blocks; base += division.group_blocks) {
    const int64_t blocks = std::min(division.group_blocks, view.blocks - base);
    const auto all = [&](auto&& pass) {
      device.parallel_tasks(blocks * division.slices, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          pass(base + t / division.slices, t % division.slices);
        }
      });
    };
    all(first);
    all(second);
  }
}

// Calls body(offset, rows) for the chunks of a task: at most kChunk elements each, rows beginning
// with the block's first channel.
template <class Body>
void for_each_chunk(const ImageView& view, const Division& division, int64_t block, int64_t slice,
                    Body&& body) {
  const int64_t begin = view.batch * slice / division.slices;
  const int64_t end = view.batch * (slice + 1) / division.slices;
  const int64_t row = view.row(), stride = view.blocks * row;
  if (row == 0) return;
  const int64_t rows = std::max<int64_t>(1, kChunk / row);
  for (int64_t n = begin; n < end; n += rows) {
    const int64_t offset = view.offset(n, block);
    for (int64_t i = 0; i < row; i += kChunk) {
      body(offset + i, Rows{std::min(rows, end - n), std::min(kChunk, row - i), stride});
    }
  }
}

// The whole slice as rows, for passes that keep no sums.
template <class Body>
void for_whole_slice(const ImageView& view, const Division& division, int64_t block, int64_t slice,
                     Body&& body) {
  const int64_t begin = view.batch * slice / division.slices;
  const int64_t end = view.batch * (slice + 1) / division.slices;
  body(view.offset(begin, block), Rows{end - begin, view.row(), view.blocks * view.row()});
}

// The number of channels of a block that exist.
inline int64_t channels_of(const ImageView& view, int64_t block) {
  return std::min(view.block, view.channels - block * view.block);
}

// Lanes whose l-th value is value(channel) of the lane's channel; 0 past the last channel.
template <class F>
Lanes lanes_of(const ImageView& view, int64_t block, F&& value) {
  Lanes lanes{};
  const int64_t channels = channels_of(view, block);
  for (int64_t k = 0; k < channels; ++k) {
    const auto of_channel = static_cast<float>(value(block * view.block + k));
    for (int64_t l = k; l < kLanes; l += view.block) lanes[static_cast<size_t>(l)] = of_channel;
  }
  return lanes;
}

// How many values of a channel there are, their mean, and the sum of their squared deviations from
// it.
struct Moments {
  double count = 0;
  double mean = 0;
  double m2 = 0;

  // As in add_moments.
  void merge(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count;
    const double delta = other.mean - mean;
    mean += delta * (other.count / total);
    m2 += other.m2 + delta * delta * (count * other.count / total);
    count = total;
  }
  double variance() const { return count > 0 ? m2 / count : 0; }  // biased
};

// The moments of the channels of a task, into moments[0 … block).
void find_moments(const float* x, const ImageView& view, const Division& division, int64_t block,
                  int64_t slice, Moments* moments);

// With g = dy where y is positive: sums of g and of g * (x - mean) of the channels of a task.
struct GradSums {
  double g = 0;
  double g_deviation = 0;
};
struct GradPass {
  const float* x;
  const float* dy;
  const float* y;  // null: g = dy
  float* kept;     // where g goes; null: nowhere
  const float* mean;
};
void find_grad_sums(const GradPass& pass, const ImageView& view, const Division& division,
                    int64_t block, int64_t slice, GradSums* sums);

// Slots for a value per channel, slice and block in the workspace: at(block, slice) points to
// view.block of them.
template <class T>
struct Partials {
  T* memory;
  int64_t block;
  int64_t slices;

  static int64_t bytes(const ImageView& view, const Division& division) {
    return view.blocks * view.block * division.slices * static_cast<int64_t>(sizeof(T));
  }
  T* at(int64_t b, int64_t slice) const { return memory + (b * slices + slice) * block; }
};

}  // namespace lockstep::cpu
