// Plans by mode and batch size, compiled when first needed and kept.
#pragma once

#include <map>
#include <utility>

#include "plan/plan.hpp"
#include "runtime/executor.hpp"

namespace lockstep {

// Says what the plan needs, what is free, and how much smaller a batch would fit.
class PlanOutOfMemory : public Error {
 public:
  PlanOutOfMemory(const std::string& message, int64_t fitting_batch)
      : Error(Failure::device, message), fitting_batch_(fitting_batch) {}
  int64_t fitting_batch() const { return fitting_batch_; }  // 0: none

 private:
  int64_t fitting_batch_;
};

class PlanCache {
 public:
  // `request` holds for every plan but for its mode and batch size. Everything referred to must
  // outlive the cache; the cache must outlive the executor.
  PlanCache(PlanRequest request, const Registry& registry, Device& device,
            const ParameterLayout& layout)
      : request_(std::move(request)), registry_(registry), device_(device), layout_(layout) {}

  // Compiles the plan and attaches it to the executor the first time. The address stays. Throws
  // PlanOutOfMemory where the device has no room for it.
  Plan& get(Executor& executor, Mode mode, int64_t batch_size);
  // For shards without samples: any training plan there is, else the smallest.
  Plan& any_training(Executor& executor);

 private:
  PlanRequest request_;
  PlanOutOfMemory out_of_memory(const Error& cause, const Plan* plan, const PlanRequest& request,
                                int64_t arena_bytes) const;

  const Registry& registry_;
  Device& device_;
  const ParameterLayout& layout_;
  std::map<std::pair<Mode, int64_t>, Plan> plans_;
};

}  // namespace lockstep
