// Random streams over Philox4x32-10.
#include "base/random.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/error.hpp"

namespace lockstep {

// The counter is (block number, a, b); so the purpose goes into the key, by way of Philox itself,
// which keeps keys of different purposes and seeds apart as well as random 64-bit numbers are.
RandomStream::RandomStream(uint64_t seed, std::string_view purpose, uint32_t a, uint64_t b)
    : counter_{0, a, static_cast<uint32_t>(b), static_cast<uint32_t>(b >> 32)} {
  const std::array<uint32_t, 4> words = philox({hash_name(purpose), 0, 0, 0}, seed);
  key_ = uint64_t{words[1]} << 32 | words[0];
}

uint32_t RandomStream::next() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  return block_[used_++];
}

// Lemire, "Fast random integer generation in an interval", 2019: a product's high half, with the
// few low halves refused that would make some results likelier.
uint64_t RandomStream::below(uint64_t bound) {
  LS_ASSERT(bound > 0);
  if (bound <= UINT32_MAX) {
    const uint32_t small = static_cast<uint32_t>(bound);
    const uint32_t refused = (0u - small) % small;
    for (;;) {
      const uint64_t product = uint64_t{next()} * small;
      if (static_cast<uint32_t>(product) >= refused) return product >> 32;
    }
  }
  const uint64_t refused = (uint64_t{0} - bound) % bound;
  for (;;) {
    const uint64_t high = next();
    const uint64_t word = high << 32 | next();
    if (word >= refused) return word % bound;
  }
}

double RandomStream::uniform() {
  const uint64_t high = next() >> 5, low = next() >> 6;
  return static_cast<double>(high << 26 | low) * 0x1p-53;
}

double RandomStream::uniform(double low, double high) {
  const double value = low + (high - low) * uniform();
  // Rounding may reach the open end.
  return value < high ? value : std::max(low, std::nextafter(high, low));
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

// Two numbers of each pair of words (Box and Muller, 1958), in float: 32 bits of radius reach 6.7
// deviations.
void RandomStream::fill_normal(std::span<float> values, float deviation) {
  constexpr float kUnit = 0x1p-32f;
  constexpr auto kTurn = static_cast<float>(2 * std::numbers::pi) * kUnit;
  for (size_t i = 0; i < values.size(); i += 2) {
    const float u = (static_cast<float>(next()) + 1) * kUnit;  // (0, 1]
    const float angle = static_cast<float>(next()) * kTurn;
    const float radius = deviation * std::sqrt(-2 * std::log(std::min(u, 1.0f)));
    values[i] = radius * std::cos(angle);
    if (i + 1 < values.size()) values[i + 1] = radius * std::sin(angle);
  }
}

std::vector<int64_t> random_permutation(int64_t count, RandomStream stream) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = count - 1; i > 0; --i) {
    const auto j = static_cast<int64_t>(stream.below(static_cast<uint64_t>(i) + 1));
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(j)]);
  }
  return order;
}

}  // namespace lockstep
