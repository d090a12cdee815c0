// Which elements dropout keeps: one function for all devices, so that the mask is equal on all of
// them.
//
// It depends on the seed, the epoch's number, the layer, the sample's index in the dataset and the
// element's place in the sample (row-major in the logical order), never on the batch, the rank, the
// thread or the layout.
#pragma once

#include <array>
#include <cstdint>

#include "base/random.hpp"

namespace lockstep {

// Random words for elements 4 * quad … 4 * quad + 3 of a sample. random_key: the step block's. Of
// the layer, the sample's index, the quad and random_key[1] the low 32 bits count.
LS_HD inline std::array<uint32_t, 4> dropout_words(const int64_t random_key[2], int64_t layer,
                                                   int64_t sample_index, int64_t quad) {
  constexpr uint64_t kPurpose = hash_name("dropout");
  const uint64_t key = static_cast<uint64_t>(random_key[0]) ^ (kPurpose << 32);
  return philox({static_cast<uint32_t>(quad), static_cast<uint32_t>(sample_index),
                 static_cast<uint32_t>(layer), static_cast<uint32_t>(random_key[1])},
                key);
}

// An element is kept where its word is not below this.
inline uint64_t dropout_threshold(double probability) {
  return static_cast<uint64_t>(probability * 4294967296.0);
}

// What kept elements are multiplied with.
inline float dropout_scale(double probability) {
  return probability < 1 ? static_cast<float>(1 / (1 - probability)) : 0.0f;
}

}  // namespace lockstep
