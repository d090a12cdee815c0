// A trained network, to be asked: from a checkpoint, or from a file of weights and the name of the
// model they are for.
#pragma once

#include <string>
#include <vector>

#include "plan/state.hpp"
#include "recipe/recipe.hpp"
#include "runtime/executor.hpp"
#include "train/plan_cache.hpp"
#include "train/session.hpp"
#include "weights/weights.hpp"

namespace lockstep {

// The recipe that a checkpoint holds or, where a model is named, one of the model with `defaults`
// ("key=value"); changed by `sets`. Throws Error{usage} where weights come without a model.
Recipe network_recipe(const Weights& weights, const std::string& model,
                      const std::vector<std::string>& sets,
                      const std::vector<std::string>& defaults, Registry& registry);

// How many classes the weights are for, by the shape of the model's head.
int64_t count_classes(const Weights& weights, PlanRequest request, const OpRegistry& ops);

// The network on this rank, ready for evaluation. All ranks make one; every tensor of the weights
// must fit, else Error{checkpoint}.
struct Network {
  Network(Session& session, const PlanRequest& request, const Weights& weights);

  State state;
  PlanCache plans;
  Executor executor;
};

}  // namespace lockstep
