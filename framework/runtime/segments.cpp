#include "runtime/segments.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace lockstep {

std::vector<Segment> cut_into_segments(const Plan& plan) {
  std::set<size_t> cuts;  // a segment ends before each of these launches
  for (size_t i = 0; i < plan.launches.size(); ++i) {
    if (plan.launches[i].kernel == nullptr) cuts.insert({i, i + 1});
  }
  for (const Bucket& bucket : plan.buckets) {
    cuts.insert(static_cast<size_t>(std::max(bucket.after, 0)) + 1);
  }
  cuts.insert(plan.launches.size());

  std::vector<Segment> segments;
  size_t begin = 0;
  for (const size_t end : cuts) {
    if (end <= begin || end > plan.launches.size()) continue;
    segments.push_back(
        {.begin = begin, .end = end, .is_all_reduce = plan.launches[begin].kernel == nullptr});
    begin = end;
  }
  return segments;
}

// The first time kernels are launched as they are: what devices and their libraries do on a first
// launch, such as loading code, cannot be recorded.
void SegmentLauncher::launch(const Plan& plan, const std::vector<BoundLaunch>& launches,
                             void* workspace, Segment& segment) {
  const bool plain = !record_ || timer_.is_on() || !std::exchange(segment.was_launched, true);
  if (plain) return launch_kernels(plan, launches, workspace, segment);
  if (segment.recording == nullptr) record(plan, launches, workspace, segment);
  segment.recording->replay(device_.compute_stream());
}

void SegmentLauncher::launch_kernels(const Plan& plan, const std::vector<BoundLaunch>& launches,
                                     void* workspace, const Segment& segment) {
  for (size_t i = segment.begin; i < segment.end; ++i) {
    const Launch& launch = plan.launches[i];
    const Node& node = plan.node(launch);
    try {
      timer_.launch(node.label, [&] {
        launch.kernel->launch({launches[i].inputs, launches[i].outputs, workspace,
                               device_.compute_stream(), launches[i].constants});
      });
    } catch (Error& error) {
      throw error.add_context(concat(node.label, " (", node.op, ")"));
    }
  }
}

void SegmentLauncher::record(const Plan& plan, const std::vector<BoundLaunch>& launches,
                             void* workspace, Segment& segment) {
  Stream* const stream = device_.compute_stream();
  device_.begin_recording(stream);
  try {
    launch_kernels(plan, launches, workspace, segment);
  } catch (...) {
    try {
      device_.end_recording(stream);
    } catch (const Error&) {  // the first error says more
    }
    throw;
  }
  try {
    segment.recording = device_.end_recording(stream);
  } catch (Error& error) {
    const auto label = [&](size_t i) { return plan.node(plan.launches[i]).label; };
    throw error.add_context(
        concat("recording of ", label(segment.begin), " to ", label(segment.end - 1)));
  }
}

}  // namespace lockstep
