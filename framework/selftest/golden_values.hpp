// Numbers for weights and inputs that C++ and Python make alike, exactly:
// tests/goldens/golden_values.py is the twin.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/random.hpp"

namespace lockstep {

// The hash of element `i` of the tensor `name`: FNV-1a of the name, then MurmurHash3's 32-bit
// finaliser.
inline uint32_t golden_hash(std::string_view name, uint64_t i) {
  uint32_t hash = hash_name(name) + static_cast<uint32_t>(i) * 0x9E3779B9u;
  hash = (hash ^ (hash >> 16)) * 0x85EBCA6Bu;
  hash = (hash ^ (hash >> 13)) * 0xC2B2AE35u;
  return hash ^ (hash >> 16);
}

// In [-1, 1), a multiple of 2^-23, so that a float32 holds it exactly.
inline float golden_value(std::string_view name, uint64_t i) {
  const auto steps = static_cast<int32_t>(golden_hash(name, i) >> 8) - (1 << 23);
  return static_cast<float>(steps) / static_cast<float>(1 << 23);
}

}  // namespace lockstep
