#include "data/subset.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/random.hpp"
#include "base/text.hpp"

namespace lockstep {

Subset::Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices)
    : whole_(std::move(whole)), indices_(std::move(indices)) {
  for (int64_t index : indices_) LS_ASSERT(index >= 0 && index < whole_->size());
}

ValidationSplit split_validation(int64_t size, double fraction, uint64_t seed) {
  const auto count = static_cast<int64_t>(std::llround(fraction * static_cast<double>(size)));
  if (fraction > 0 && (count <= 0 || count >= size)) {
    fail(Failure::usage, "data.validation_fraction: ", float_text(fraction), " of ", size,
         " training samples is ", count,
         "; expected at least one sample to validate and one to train on");
  }
  const std::vector<int64_t> order = random_permutation(size, RandomStream(seed, "validation"));
  ValidationSplit split;
  split.validation.assign(order.begin(), order.begin() + count);
  split.train.assign(order.begin() + count, order.end());
  std::sort(split.validation.begin(), split.validation.end());
  std::sort(split.train.begin(), split.train.end());
  return split;
}

}  // namespace lockstep
