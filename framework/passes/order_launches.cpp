// Drops dead nodes and fixes the order of launches.
//
// The order of construction is already a good one: forward as the model says, backward layer by
// layer with weight gradients first (the rules append them first), so that buckets fill early and
// activations die early. Parameters and buffers stay, used or not: they are part of the model.
#include "passes/passes.hpp"

namespace lockstep {

Graph order_launches(const Graph& graph) {
  std::vector<bool> alive(graph.nodes().size());
  for (const Output& output : graph.outputs()) alive[static_cast<size_t>(output.value.node)] = true;
  for (size_t i = graph.nodes().size(); i-- > 0;) {
    const Node& node = graph.nodes()[i];
    if (node.op == "parameter" || node.op == "buffer") alive[i] = true;
    if (!alive[i]) continue;
    for (ValueId input : node.inputs) alive[static_cast<size_t>(input.node)] = true;
  }
  GraphRewriter rewrite(graph);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    if (alive[i]) rewrite.copy(static_cast<int32_t>(i));
  }
  return rewrite.finish();
}

}  // namespace lockstep
