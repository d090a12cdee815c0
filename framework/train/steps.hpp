// How an epoch is cut: into steps over all ranks, and a step into shards.
#pragma once

#include <algorithm>
#include <cstdint>

#include "data/batch.hpp"

namespace lockstep {

// The steps of one epoch: step i (from 0) takes the next global_batch_size samples of the epoch's
// order. The last one may be smaller, or is left out.
struct EpochSteps {
  int64_t samples = 0;
  int64_t global_batch_size = 1;
  bool drop_last = false;

  int64_t count() const {
    return (samples + (drop_last ? 0 : global_batch_size - 1)) / global_batch_size;
  }
  Slice at(int64_t i) const {
    const int64_t begin = i * global_batch_size;
    return {begin, begin + global_batch_size < samples ? begin + global_batch_size : samples};
  }
  // The step that comes after the first `done` samples; count() where nothing remains.
  int64_t after(int64_t done) const { return (done + global_batch_size - 1) / global_batch_size; }
};

// A rank's place among the ranks, and how many shards (micro-batches) it makes of its slice of a
// step.
struct Sharding {
  int rank = 0;
  int world_size = 1;
  int64_t per_rank = 1;  // train.gradient_accumulation, or what train.auto_accumulate made of it

  // Shard k of this rank: shards of all ranks together are the step, in order, and differ by at
  // most one sample.
  Slice shard(Slice step, int64_t k) const {
    return part_of(step, rank * per_rank + k, world_size * per_rank);
  }
  // Samples of this rank's largest one.
  int64_t largest_shard(Slice step) const {
    int64_t largest = 0;
    for (int64_t k = 0; k < per_rank; ++k) largest = std::max(largest, shard(step, k).size());
    return largest;
  }
};

}  // namespace lockstep
