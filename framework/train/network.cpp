#include "train/network.hpp"

#include "train/initial_weights.hpp"
#include "train/snapshot.hpp"

namespace lockstep {

Recipe network_recipe(const NetworkSource& source, const std::vector<std::string>& defaults,
                      Registry& registry) {
  const std::string recipe = read_weights(source.path).recipe;
  if (!recipe.empty() && source.model.empty()) {
    return parse_recipe(recipe, source.path + ":/recipe", source.sets, registry);
  }
  if (source.model.empty()) {
    fail(Failure::usage, source.path,
         ": found weights without a recipe; expected to be told their model, as in --model resnet "
         "--set model.depth=50");
  }
  std::vector<std::string> sets{"model.name=" + source.model, "train.epochs=1"};
  sets.insert(sets.end(), defaults.begin(), defaults.end());
  sets.insert(sets.end(), source.sets.begin(), source.sets.end());
  return parse_recipe("", "the command line", sets, registry);
}

int64_t count_classes(const Weights& weights, PlanRequest request, const OpRegistry& ops) {
  request.mode = Mode::evaluation;
  for (const std::string& name : head_parameters(build_graph(request, ops))) {
    const auto found = weights.tensors.find(name);
    if (found != weights.tensors.end() && found->second.shape.rank() > 0) {
      return found->second.shape[0];
    }
  }
  fail(Failure::checkpoint, weights.origin,
       ": found no weights of the model's head; expected a file for this model; check --model and "
       "--set model.…");
}

void load_network(State& state, const Weights& weights, const PlanRequest& request,
                  Session& session) {
  if (session.is_first()) {
    load_weights(state, weights, network_parts(request, session.registry.ops()), {},
                 session.registry);
  }
  broadcast_state(state, *session.communication);
}

}  // namespace lockstep
