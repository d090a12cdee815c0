// The order of an epoch: a function of (size, seed, epoch) alone, so that every rank computes the
// same one.
#include <numeric>

#include "base/random.hpp"
#include "data/loader.hpp"

namespace lockstep {

std::vector<int64_t> sample_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch) {
  if (shuffle) {
    return random_permutation(size, RandomStream(seed, "order", static_cast<uint32_t>(epoch)));
  }
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

}  // namespace lockstep
