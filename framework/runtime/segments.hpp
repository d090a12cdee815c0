// A plan's launches between two collectives. Where the device can record, such a segment becomes
// one recording that later steps replay; collectives stay outside of recordings, so that each of
// them can be watched and ended (decisions/0009-segments-and-stream-order.md).
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "plan/plan.hpp"
#include "runtime/launch_timer.hpp"

namespace lockstep {

struct BoundLaunch {
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  void* constants = nullptr;
};

// Launches [begin, end) of a plan: all with kernels, or one all_reduce alone.
struct Segment {
  size_t begin = 0;
  size_t end = 0;
  bool is_all_reduce = false;

  bool was_launched = false;
  std::unique_ptr<Recording> recording = nullptr;  // with the addresses of then
};

// All launches of the plan, in order: cut at every all_reduce and behind every launch that
// completes a bucket.
std::vector<Segment> cut_into_segments(const Plan& plan);

// Enqueues segments on the compute stream.
class SegmentLauncher {
 public:
  // `record`: where the device can.
  SegmentLauncher(Device& device, LaunchTimer& timer, bool record)
      : device_(device), timer_(timer), record_(record && device.can_record()) {}

  void launch(const Plan& plan, const std::vector<BoundLaunch>& launches, void* workspace,
              Segment& segment);

 private:
  void launch_kernels(const Plan& plan, const std::vector<BoundLaunch>& launches, void* workspace,
                      const Segment& segment);
  void record(const Plan& plan, const std::vector<BoundLaunch>& launches, void* workspace,
              Segment& segment);

  Device& device_;
  LaunchTimer& timer_;
  bool record_;
};

}  // namespace lockstep
