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

namespace lockstep {

struct BoundLaunch {
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
};

class BoundArenas {
 public:
  BoundArenas(Device& device, State& state);
  ~BoundArenas();
  BoundArenas(const BoundArenas&) = delete;
  BoundArenas& operator=(const BoundArenas&) = delete;

  // Grows the shared arenas to what the plan needs; all attached plans then get their new
  // addresses.
  void attach(const Plan& plan, const Shape& image);
  const std::vector<BoundLaunch>& bound(const Plan& plan) const { return bound_.at(&plan); }
  // Enqueues the copies of a batch: behind all that reads the batch before it, and before whatever
  // is launched next. Whether they are done already, so that the batch may be released.
  bool upload(const Plan& plan, const Batch& batch);
  void wait_for_upload();
  std::byte* resolve(const Address& address) const;
  void* workspace() const { return workspace_.data(); }

 private:
  Device& device_;
  State& state_;
  Shape image_;
  DeviceMemory activations_;
  DeviceMemory workspace_;
  DeviceMemory batch_;
  Event* batch_free_;
  Event* uploaded_;
  std::map<const Plan*, std::vector<BoundLaunch>> bound_;
};

}  // namespace lockstep
