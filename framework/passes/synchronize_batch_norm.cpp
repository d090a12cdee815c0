// Makes every training batch norm use the moments of all ranks' samples together.
//
// Sums, sums of squares and the count travel as f64 in one vector, so one all_reduce per layer and
// direction is enough and ranks may have different numbers of samples. Peng et al.,
// arXiv:1711.07240, section 3.2.
#include "ops/attributes.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

// Returns the moments of the global batch.
Value replace_batch_norm(GraphRewriter& rewrite, int32_t number) {
  const Node& node = rewrite.source().nodes()[static_cast<size_t>(number)];
  const auto& attributes = node.attributes.as<BatchNormAttributes>();
  Graph& graph = rewrite.target();
  const auto input = [&](size_t i) { return rewrite.value(node.inputs[i]); };
  const Value x = input(0);

  const Value local = graph.apply("batch_moments", {x}, {}, node.label + "/moments");
  const Value moments = graph.apply("all_reduce", {local}, {}, node.label + "/moments/all_reduce");
  const Value y =
      graph.apply("batch_norm_apply", {x, moments, input(1), input(2)},
                  Attributes::of(BatchNormAttributes{.epsilon = attributes.epsilon}), node.label);
  for (int32_t port = 0; port < 3; ++port) {
    rewrite.replace({number, port}, {y.id().node, port});
  }
  return moments;
}

}  // namespace

Graph synchronize_batch_norm(const Graph& graph) {
  GraphRewriter rewrite(graph);
  std::map<int32_t, Value> moments;  // by the batch_norm's node number
  for (int32_t i = 0; i < static_cast<int32_t>(graph.nodes().size()); ++i) {
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    if (node.op == "batch_norm") {
      moments[i] = replace_batch_norm(rewrite, i);
    } else if (node.op == "batch_statistics") {
      const Value shares =
          rewrite.target().apply("batch_statistics",
                                 {rewrite.value(node.inputs[0]), rewrite.value(node.inputs[1]),
                                  rewrite.value(node.inputs[2]), moments.at(node.inputs[0].node)},
                                 Attributes::of(BatchStatisticsAttributes{.count = 0}), node.label);
      for (int32_t port = 0; port < 2; ++port) {
        rewrite.replace({i, port}, {shares.id().node, port});
      }
    } else {
      rewrite.copy(i);
    }
  }
  return rewrite.finish();
}

}  // namespace lockstep
