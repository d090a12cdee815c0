// A trained network, to be asked: from a checkpoint, or from a file of weights and the name of the
// model they are for.
#pragma once

#include <string>
#include <vector>

#include "plan/state.hpp"
#include "recipe/recipe.hpp"
#include "train/session.hpp"
#include "weights/weights.hpp"

namespace lockstep {

// As a command line names it: `path` of either kind; `model` for weights without a recipe of their
// own.
struct NetworkSource {
  std::string path;
  std::string model;
  std::vector<std::string> sets;
};

// The recipe that a checkpoint holds, or one of the model with `defaults` ("key=value"), changed by
// the source's sets. Throws Error{usage} where weights come without a model.
Recipe network_recipe(const NetworkSource& source, const std::vector<std::string>& defaults,
                      Registry& registry);

// How many classes the weights are for, by the shape of the model's head.
int64_t count_classes(const Weights& weights, PlanRequest request, const OpRegistry& ops);

// Puts the weights, every one of them, into an evaluation state on all ranks. All ranks call it.
void load_network(State& state, const Weights& weights, const PlanRequest& request,
                  Session& session);

}  // namespace lockstep
