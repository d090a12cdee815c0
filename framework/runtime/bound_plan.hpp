// The memory that plans share (activations, workspace, batch) and the addresses of their launches
// in it; and how batches get there.
//
// Batches travel on a stream of their own, ordered by events, so that the host need not wait for
// the launches before.
#pragma once

#include <map>
#include <vector>

#include "data/batch.hpp"
#include "plan/plan.hpp"
#include "plan/state.hpp"
#include "runtime/host_wait.hpp"
#include "runtime/segments.hpp"

namespace lockstep {

// A plan with its addresses.
struct BoundPlan {
  std::vector<BoundLaunch> launches;
  std::vector<Segment> segments;
  DeviceMemory constants;      // this plan's alone: activations of other plans must not harm it
  int64_t state_version = -1;  // that the constants were made of
};

class BoundArenas {
 public:
  BoundArenas(Device& device, State& state, HostWait& wait);
  ~BoundArenas();
  BoundArenas(const BoundArenas&) = delete;
  BoundArenas& operator=(const BoundArenas&) = delete;

  // Grows the shared arenas to what the plan needs. Where one has moved, all attached plans get
  // their new addresses, and what was recorded with the old ones is forgotten.
  void attach(const Plan& plan, const Shape& image);
  BoundPlan& bound(const Plan& plan) { return bound_.at(&plan); }
  // Makes anew what the plan's launches keep of parameters and buffers, if these have changed.
  void update_constants(const Plan& plan);
  // Enqueues the copies of a batch: behind all that uses the memory of the batch before it, and
  // before whatever is launched next. Whether they are done already, so that the batch may be
  // released.
  bool upload(const Plan& plan, const Batch& batch);
  void wait_for_upload();
  // The host has waited for all launches.
  void release_batch() { batch_in_use_ = false; }
  std::byte* resolve(const Address& address) const;
  void* workspace() const { return workspace_.data(); }
  // What the shared arenas hold now.
  int64_t bytes() const { return activations_.bytes() + workspace_.bytes() + batch_.bytes(); }

 private:
  void bind(const Plan& plan, BoundPlan& bound) const;

  Device& device_;
  State& state_;
  HostWait& wait_;
  Shape image_;
  DeviceMemory activations_;
  DeviceMemory workspace_;
  DeviceMemory batch_;
  bool batch_in_use_ = false;  // by what is on the compute stream
  Event* batch_free_;
  Event* uploaded_;
  std::map<const Plan*, BoundPlan> bound_;
};

}  // namespace lockstep
