// One shard's samples, as they travel from the loader to the device.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/shape.hpp"

namespace lockstep {

// Samples [begin, end) of an epoch's order.
struct Slice {
  int64_t begin = 0;
  int64_t end = 0;
  constexpr int64_t size() const { return end - begin; }
  friend bool operator==(const Slice&, const Slice&) = default;
};

// Part `part` of `parts` contiguous parts of `whole` whose sizes differ by at most one.
// Slices of slices agree: part r of R covers exactly the parts [r * A, (r + 1) * A) of R * A.
constexpr Slice part_of(Slice whole, int64_t part, int64_t parts) {
  return {whole.begin + whole.size() * part / parts,
          whole.begin + whole.size() * (part + 1) / parts};
}

// Consecutive slices of at most `batch_size`.
inline std::vector<Slice> cut_into_batches(Slice whole, int64_t batch_size) {
  std::vector<Slice> batches;
  for (int64_t begin = whole.begin; begin < whole.end; begin += batch_size) {
    batches.push_back({begin, std::min(begin + batch_size, whole.end)});
  }
  return batches;
}

// Memory is the loader's (pinned where the device wants it) and valid until the batch is released.
struct Batch {
  int64_t samples = 0;         // real ones; weights of the rest are 0
  int64_t capacity = 0;        // N of the arrays
  uint8_t* images = nullptr;   // (N, C, H, W)
  int32_t* labels = nullptr;   // (N)
  float* weights = nullptr;    // (N): 1, or a class weight; 0 for padding and bad samples
  int64_t* indices = nullptr;  // (N): index of the sample in its dataset
};

}  // namespace lockstep
