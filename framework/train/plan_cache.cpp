#include "train/plan_cache.hpp"

namespace lockstep {

Plan& PlanCache::get(Executor& executor, Mode mode, int64_t batch_size) {
  const auto found = plans_.find({mode, batch_size});
  if (found != plans_.end()) return found->second;

  PlanRequest request = request_;
  request.mode = mode;
  request.batch_size = batch_size;
  if (mode == Mode::evaluation) request.label_smoothing = 0;
  Plan& plan =
      plans_.emplace(std::pair(mode, batch_size), compile(request, registry_, device_, layout_))
          .first->second;
  executor.attach(plan, request.sample());
  return plan;
}

Plan& PlanCache::any_training(Executor& executor) {
  for (auto& [key, plan] : plans_) {
    if (key.first == Mode::training) return plan;
  }
  return get(executor, Mode::training, 1);
}

}  // namespace lockstep
