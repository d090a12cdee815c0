// What the fuzz targets of weights do with an input: read it, and every number of its tensors.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "weights/formats.hpp"

namespace lockstep::fuzz {

inline FileBytes input_bytes(const uint8_t* data, size_t size) {
  return {{reinterpret_cast<const char*>(data), size}, {}};
}

// An Error{checkpoint} is the right answer to a damaged file; any other exception ends the process.
template <class Read>
void read_all(const Read& read) {
  try {
    const Weights weights = read();
    for (const auto& [name, tensor] : weights.tensors) {
      constexpr int64_t kMost = 1 << 20;  // so that inputs are many rather than long
      if (tensor.shape.numel() <= kMost) tensor.floats();
    }
  } catch (const Error& error) {
    if (error.failure() != Failure::checkpoint) throw;
  }
}

}  // namespace lockstep::fuzz
