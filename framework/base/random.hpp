// Counter-based random numbers: what is drawn depends on its key alone, never on ranks, threads or
// what was drawn before.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/philox.hpp"

namespace lockstep {

// A stable 32-bit hash of a text (FNV-1a): gives purposes and layers a number of their own.
constexpr uint32_t hash_name(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash;
}

// A sequence of random numbers for one (seed, purpose, a, b), such as ("augment", epoch, sample
// index).
class RandomStream {
 public:
  RandomStream(uint64_t seed, std::string_view purpose, uint32_t a = 0, uint64_t b = 0);

  uint32_t next();
  uint64_t below(uint64_t bound);           // uniform in [0, bound), exact; bound > 0
  double uniform();                         // [0, 1), 53 bits
  double uniform(double low, double high);  // [low, high)
  double normal();                          // mean 0, deviation 1 (Box-Muller)
  void fill_normal(std::span<float> values,
                   float deviation);  // many at once, in float: for initial weights

 private:
  std::array<uint32_t, 4> counter_;
  uint64_t key_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

// 0 … count - 1 in random order (Fisher-Yates), a function of the stream alone.
std::vector<int64_t> random_permutation(int64_t count, RandomStream stream);

}  // namespace lockstep
