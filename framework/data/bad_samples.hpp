// The samples that cannot be read, where the recipe says to do without them.
//
// Such a sample has weight 0 and a black picture in its batch: it counts neither in the loss nor in
// metrics, and evaluation has not seen it. The loss is still divided by the whole global batch, and
// the statistics of batch norm still see the black picture.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "data/dataset.hpp"

namespace lockstep {

// Of one rank, over all its loaders. Any thread.
class BadSamples {
 public:
  enum class Warn { once, never };  // never: another has said it already

  explicit BadSamples(int64_t most, Warn warn = Warn::once) : most_(most), warn_(warn) {}

  // Counts sample `index` of `dataset` and warns of it with the reason, both once at most. More
  // different ones than `most` throw Error{data} that names the last.
  void add(const Dataset& dataset, int64_t index, const Error& reason);
  int64_t count() const;

 private:
  mutable std::mutex mutex_;
  const int64_t most_;
  const Warn warn_;
  std::set<std::pair<const Dataset*, int64_t>> seen_;
  std::deque<std::string> last_;  // reasons, the newest at the end
};

}  // namespace lockstep
