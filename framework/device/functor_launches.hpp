// How a device launches functors that were compiled for it: the optimizers and pointwise functions
// of plugins, from their twins (plugin/twin.hpp).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/dtype.hpp"
#include "device/device.hpp"

namespace lockstep {

// Elements that lie one after the other. Those of images are (…, stored) of which `channels` exist
// and the others are zero; without padding `stored` is 0.
struct PointwiseCall {
  DType dtype = DType::f32;  // f32, f16 or bf16, of all three
  int64_t count = 0;
  int channels = 0, stored = 0;
};
struct PointwiseLaunches {
  void (*forward)(const PointwiseCall&, const void* x, void* y, Stream*) = nullptr;
  void (*backward)(const PointwiseCall&, const void* y, const void* dy, void* dx,
                   Stream*) = nullptr;
};

// A piece of a segment that one block of threads updates.
struct UpdateChunk {
  static constexpr int32_t kMost = 4096;  // elements
  int64_t offset;
  int32_t count;
  int32_t group;
  int32_t segment;
};
struct UpdateCall {
  static constexpr int kMostSlots = 8;
  int64_t chunk_count = 0;
  // In device memory:
  const UpdateChunk* chunks = nullptr;
  const void* functors = nullptr;         // one per group
  const float* lr_multipliers = nullptr;  // one per group
  const Norms* norms = nullptr;           // one per segment; null where no optimizer needs them
  const StepInfo* step = nullptr;
  const float* g = nullptr;
  float* w = nullptr;
  float* slots[kMostSlots] = {};
};
using LaunchUpdate = void (*)(const UpdateCall&, Stream*);

// By the names of optimizers and ops.
struct FunctorLaunches {
  std::map<std::string, LaunchUpdate, std::less<>> optimizers;
  std::map<std::string, PointwiseLaunches, std::less<>> pointwise;
};

}  // namespace lockstep
