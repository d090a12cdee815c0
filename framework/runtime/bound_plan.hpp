// The memory that plans share (activations, workspace, batch) and the addresses of their launches
// in it.
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
  BoundArenas(Device& device, State& state) : device_(device), state_(state) {}

  // Grows the shared arenas to what the plan needs; all attached plans then get their new
  // addresses.
  void attach(const Plan& plan, const Shape& image);
  const std::vector<BoundLaunch>& bound(const Plan& plan) const { return bound_.at(&plan); }
  void upload(const Plan& plan, const Batch& batch);
  std::byte* resolve(const Address& address) const;
  void* workspace() const { return workspace_.data(); }

 private:
  Device& device_;
  State& state_;
  Shape image_;
  DeviceMemory activations_;
  DeviceMemory workspace_;
  DeviceMemory batch_;
  std::map<const Plan*, std::vector<BoundLaunch>> bound_;
};

}  // namespace lockstep
