#include "data/class_weights.hpp"

#include <algorithm>
#include <numeric>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace lockstep {
namespace {

void warn_of_empty_classes(const Dataset& dataset, std::span<const int64_t> counts) {
  constexpr size_t kShown = 5;
  std::vector<std::string> empty;
  for (size_t k = 0; k < counts.size(); ++k) {
    if (counts[k] == 0) empty.push_back(dataset.spec().class_names[k]);
  }
  if (empty.empty()) return;
  const size_t more = empty.size() - std::min(empty.size(), kShown);
  empty.resize(empty.size() - more);
  log::warn(concat("data.class_weights: no training samples of ", list_words(empty, " and "),
                   more > 0 ? concat(" and ", more, " classes more") : std::string(),
                   ": weight 0"));
}

}  // namespace

std::vector<int64_t> class_counts(const Dataset& dataset) {
  std::vector<int64_t> counts(static_cast<size_t>(dataset.spec().classes));
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const int64_t label = dataset.label(i);
    if (label < 0 || label >= dataset.spec().classes) {
      fail(Failure::data, "sample ", i, ": label ", label, "; expected 0 to ",
           dataset.spec().classes - 1, "; repair the dataset");
    }
    ++counts[static_cast<size_t>(label)];
  }
  return counts;
}

std::vector<float> balanced_class_weights(std::span<const int64_t> counts) {
  const auto samples = static_cast<double>(std::accumulate(counts.begin(), counts.end(), 0LL));
  const auto classes = static_cast<double>(
      std::count_if(counts.begin(), counts.end(), [](int64_t count) { return count > 0; }));
  std::vector<float> weights;
  for (const int64_t count : counts) {
    const double weight = count > 0 ? samples / (classes * static_cast<double>(count)) : 0;
    weights.push_back(static_cast<float>(weight));
  }
  return weights;
}

std::vector<float> class_weights(const std::string& way, const Dataset& dataset) {
  if (way == "none") return {};
  LS_ASSERT(way == "balanced");
  const std::vector<int64_t> counts = class_counts(dataset);
  warn_of_empty_classes(dataset, counts);
  return balanced_class_weights(counts);
}

}  // namespace lockstep
