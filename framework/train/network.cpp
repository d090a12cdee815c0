#include "train/network.hpp"

#include "train/initial_weights.hpp"
#include "train/snapshot.hpp"

namespace lockstep {

Recipe network_recipe(const Weights& weights, const std::string& model,
                      const std::vector<std::string>& sets,
                      const std::vector<std::string>& defaults, Registry& registry) {
  if (!weights.recipe.empty() && model.empty()) {
    return parse_recipe(weights.recipe, weights.origin + ":/recipe", sets, registry);
  }
  if (model.empty()) {
    fail(Failure::usage, weights.origin,
         ": found weights without a recipe; expected to be told their model, as in --model resnet "
         "--set model.depth=50");
  }
  std::vector<std::string> all{"model.name=" + model, "train.epochs=1"};
  all.insert(all.end(), defaults.begin(), defaults.end());
  all.insert(all.end(), sets.begin(), sets.end());
  return parse_recipe("", "the command line", all, registry);
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

Network::Network(Session& session, const PlanRequest& request, const Weights& weights)
    : state(*session.device,
            parameter_layout(request, Mode::evaluation, session.registry, *session.device), 0, 1,
            false),
      plans(request, session.registry, *session.device, state.layout),
      executor(*session.device, state, *session.communication, executor_options(session.recipe)) {
  if (session.is_first()) {
    load_weights(state, weights, network_parts(request, session.registry.ops()), {},
                 session.registry);
  }
  broadcast_state(state, *session.communication);
}

}  // namespace lockstep
