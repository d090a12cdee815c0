#include "data/bad_samples.hpp"

#include "base/log.hpp"

namespace lockstep {
namespace {

constexpr size_t kNamed = 3;  // in the error

}  // namespace

void BadSamples::add(const Dataset& dataset, int64_t index, const Error& reason) {
  const std::lock_guard lock(mutex_);
  if (!seen_.emplace(&dataset, index).second) return;
  if (warn_ == Warn::once) log::warn(concat("left out a bad sample: ", reason.what()));
  last_.emplace_back(reason.what());
  if (last_.size() > kNamed) last_.pop_front();
  if (static_cast<int64_t>(seen_.size()) <= most_) return;
  std::string named;
  for (const std::string& text : last_) named += "\n  " + text;
  fail(Failure::data, seen_.size(), " samples cannot be read; expected at most ", most_,
       " (data.max_bad_samples); repair or remove them, or raise the number. The last:", named);
}

int64_t BadSamples::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(seen_.size());
}

}  // namespace lockstep
