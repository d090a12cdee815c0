// Leaves of a network what follows its features, which become an input: for a frozen network, whose
// features are computed once and kept.
#include "graph/op.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

// The same picture must give the same features in every epoch.
void require_constant(const Graph& graph, const std::vector<bool>& before_features,
                      const std::function<bool(std::string_view name)>& trainable) {
  for (size_t i = 0; i < before_features.size(); ++i) {
    if (!before_features[i]) continue;
    const Node& node = graph.nodes()[i];
    if (node.op == "parameter" && trainable(node.label)) {
      fail(Failure::usage, "features: the parameter ", node.label,
           " before them is trained; expected all of them frozen; add it to train.freeze");
    }
    if (node.op == "batch_norm" || node.op == "dropout") {
      fail(Failure::usage, "features: ", node.op, " ", node.label,
           " before them differs from step to step; expected a network that is frozen up to its "
           "features; features of this model cannot be cached");
    }
  }
}

}  // namespace

Graph cut_at_features(const Graph& graph,
                      const std::function<bool(std::string_view name)>& trainable) {
  const Output* features = graph.find_output(Role::features);
  if (features == nullptr) {
    fail(Failure::usage,
         "features: this model does not say which value they are; they cannot be "
         "cached");
  }
  const std::vector<bool> before = ancestors(graph, std::span(&features->value, 1));
  require_constant(graph, before, trainable);

  GraphRewriter rewrite(graph);
  for (int32_t i = 0; i < static_cast<int32_t>(graph.nodes().size()); ++i) {
    const auto number = static_cast<size_t>(i);
    const Node& node = graph.nodes()[number];
    const bool stays = node.op == "parameter" || node.op == "buffer";
    if (i == features->value.node) {
      const Value input = rewrite.target().input("features", graph.type(features->value));
      rewrite.replace(features->value, input.id());
    } else if (stays || !before[number]) {
      for (ValueId input : node.inputs) {
        if (rewrite(input)) continue;
        fail(Failure::usage, "features: ", node.label, " (", node.op,
             ") needs the picture beside them; features of this model cannot be cached; auxiliary "
             "heads must be off");
      }
      rewrite.copy(i);
    }
  }
  return rewrite.finish();
}

}  // namespace lockstep
