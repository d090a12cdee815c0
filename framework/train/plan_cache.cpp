#include "train/plan_cache.hpp"

#include "base/text.hpp"
#include "plan/memory_demand.hpp"

namespace lockstep {

Plan& PlanCache::get(Executor& executor, Mode mode, int64_t batch_size) {
  const auto found = plans_.find({mode, batch_size});
  if (found != plans_.end()) return found->second;

  PlanRequest request = request_;
  request.mode = mode;
  request.batch_size = batch_size;
  if (mode == Mode::evaluation) request.label_smoothing = 0;
  Plan* plan = nullptr;
  try {
    plan =
        &plans_.emplace(std::pair(mode, batch_size), compile(request, registry_, device_, layout_))
             .first->second;
    executor.attach(*plan, request.sample());
  } catch (const OutOfMemory& error) {
    throw out_of_memory(error, plan, request, executor.arena_bytes());
  }
  return *plan;
}

// Of a plan that could not even be prepared nothing is known but its shapes.
PlanOutOfMemory PlanCache::out_of_memory(const Error& cause, const Plan* plan,
                                         const PlanRequest& request, int64_t arena_bytes) const {
  const PlanDemand demand = plan != nullptr ? plan_demand(*plan, request.sample())
                                            : plan_demand(request, registry_, device_, layout_);
  std::string text =
      concat("the plan of ", request.mode == Mode::training ? "training" : "evaluation", " with ",
             request.batch_size, request.batch_size == 1 ? " sample" : " samples", " needs ",
             bytes_text(demand.total()), " (", text_of(demand), ')');
  if (plan != nullptr)
    text += concat("; the largest activations are ",
                   list_words(largest_activations(*plan, 5), " and "));
  int64_t fitting = 0;
  if (device_.free_bytes() >= 0) {
    const int64_t free =
        device_.free_bytes() + arena_bytes;  // a smaller plan would use these again
    fitting = largest_fitting(request.batch_size - 1, [&](int64_t batch_size) {
      PlanRequest smaller = request;
      smaller.batch_size = batch_size;
      return plan_demand(smaller, registry_, device_, layout_).total() + demand.workspace +
                 demand.constants <=
             free;
    });
    text += concat("; ", bytes_text(free), " are free, enough for ",
                   fitting == 0   ? std::string("no batch")
                   : fitting == 1 ? std::string("one sample at a time")
                                  : concat(fitting, " samples at a time"));
  }
  return {concat(cause.what(), "; ", text), fitting};
}

Plan& PlanCache::any_training(Executor& executor) {
  for (auto& [key, plan] : plans_) {
    if (key.first == Mode::training) return plan;
  }
  return get(executor, Mode::training, 1);
}

}  // namespace lockstep
