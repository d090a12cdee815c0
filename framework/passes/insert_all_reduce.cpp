// Cuts the gradient arena into buckets and finds the node after which each may be reduced over the
// ranks.
//
// Gradients lie in the order in which backward produces them, so a bucket is a slice, nothing is
// copied, and the slices fill up one after the other while backward goes on. Sergeev and Del Balso,
// arXiv:1802.05799 (tensor fusion); Li et al., arXiv:2006.15704, section 3.2.3 (buckets beside
// backward).
#include <algorithm>

#include "passes/passes.hpp"
#include "plan/parameters.hpp"

namespace lockstep {

std::vector<Bucket> insert_all_reduce(const Graph& graph, const ParameterLayout& layout,
                                      int64_t bucket_bytes) {
  std::map<std::string_view, int32_t> written;  // parameter -> node that writes its gradient
  int32_t statistics_written = 0;
  for (const Output& output : graph.outputs()) {
    if (output.role == Role::gradient) written[output.name] = output.value.node;
    if (output.role == Role::statistic) {
      statistics_written = std::max(statistics_written, output.value.node);
    }
  }

  std::vector<Bucket> buckets;
  const int64_t wanted = std::max<int64_t>(bucket_bytes / size_of(DType::f32), 1);
  for (const ParameterSlot& parameter : layout.parameters) {
    if (!parameter.trainable) continue;
    if (buckets.empty() || buckets.back().count >= wanted) {
      buckets.push_back({parameter.offset, 0, 0});
    }
    Bucket& bucket = buckets.back();
    bucket.count = parameter.offset + parameter.count - bucket.offset;
    bucket.after = std::max(bucket.after, written.at(parameter.name));
  }
  if (layout.statistic_elements > 0) {
    if (buckets.empty()) buckets.push_back({layout.trainable_elements, 0, 0});
    buckets.back().after = std::max(buckets.back().after, statistics_written);
  }
  // The gaps of alignment between tensors belong to the bucket before them, so that buckets cover
  // the arena.
  for (size_t i = 0; i < buckets.size(); ++i) {
    const int64_t end = i + 1 < buckets.size() ? buckets[i + 1].offset : layout.gradient_elements();
    buckets[i].count = end - buckets[i].offset;
  }
  return buckets;
}

}  // namespace lockstep
