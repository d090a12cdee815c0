// Drops dead nodes and fixes the order of launches.
//
// The order of construction is already a good one: forward as the model says, backward layer by
// layer with weight gradients first (the rules append them first), so that buckets fill early and
// activations die early. Parameters and buffers stay, used or not: they are part of the model.
#include "passes/passes.hpp"

namespace lockstep {

Graph order_launches(const Graph& graph) {
  std::vector<ValueId> results;
  for (const Output& output : graph.outputs()) results.push_back(output.value);
  const std::vector<bool> alive = ancestors(graph, results);
  GraphRewriter rewrite(graph);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const std::string& op = graph.nodes()[i].op;
    const bool stays = alive[i] || op == "parameter" || op == "buffer";
    if (stays) rewrite.copy(static_cast<int32_t>(i));
  }
  return rewrite.finish();
}

}  // namespace lockstep
