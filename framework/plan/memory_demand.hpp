// What a plan takes of a device's memory, and what of it fits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "plan/plan.hpp"

namespace lockstep {

// In bytes.
struct StateDemand {
  int64_t parameters = 0;
  int64_t gradients = 0;
  int64_t optimizer = 0;
  int64_t buffers = 0;
  int64_t shard_sums = 0;  // see State

  int64_t total() const { return parameters + gradients + optimizer + buffers + shard_sums; }
};
StateDemand state_demand(const ParameterLayout& layout, int optimizer_slots, int64_t shards,
                         bool training);

struct PlanDemand {
  int64_t activations = 0;
  int64_t batch = 0;
  int64_t workspace = 0;  // known once the kernels are prepared
  int64_t constants = 0;  // likewise

  int64_t total() const { return activations + batch + workspace + constants; }
};
// From shapes alone, workspace and constants left out: the device is not touched.
PlanDemand plan_demand(const PlanRequest& request, const Registry& registry, const Device& device,
                       const ParameterLayout& layout);
PlanDemand plan_demand(const Plan& plan, const Shape& sample);

// "parameters 2.0 MiB, gradients 2.0 MiB, …", what is nothing left out
std::string text_of(const StateDemand& demand);
std::string text_of(const PlanDemand& demand);

// The largest values in the activations arena, by node: "layer1.0.conv1 f32(64, 64, 56, 56) 49
// MiB".
std::vector<std::string> largest_activations(const Plan& plan, size_t count);

// The largest n in [1, most] for which fits(n), where what fits does so for every smaller n; 0:
// none.
int64_t largest_fitting(int64_t most, const std::function<bool(int64_t)>& fits);

}  // namespace lockstep
