// Makes batch norms whose weight and bias are frozen use their running moments, as in evaluation:
// they are neither updated nor reduced over the ranks.
//
// A batch norm that is only partly frozen stays one of training.
#include "ops/attributes.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

using Trainable = std::function<bool(std::string_view name)>;

// The running mean and variance that each batch norm would update, by its node number.
struct RunningMoments {
  std::string mean, variance;
};
std::map<int32_t, RunningMoments> find_running_moments(const Graph& graph) {
  std::map<int32_t, RunningMoments> found;
  for (const Output& output : graph.outputs(Role::statistic)) {
    const int32_t batch_norm = graph.node(output.value).inputs[0].node;
    RunningMoments& moments = found[batch_norm];
    (output.value.port == 0 ? moments.mean : moments.variance) = output.name;
  }
  return found;
}

bool is_frozen(const Graph& graph, const Node& batch_norm, const Trainable& trainable) {
  for (size_t i : {1, 2}) {
    const Node& parameter = graph.node(batch_norm.inputs[i]);
    if (parameter.op != "parameter" || trainable(parameter.label)) return false;
  }
  return true;
}

}  // namespace

Graph freeze_batch_norm(const Graph& graph, const Trainable& trainable) {
  const std::map<int32_t, RunningMoments> moments = find_running_moments(graph);
  const auto node_of_buffer = [&](const std::string& name) -> ValueId {
    for (int32_t number : graph.find_all("buffer")) {
      if (graph.nodes()[static_cast<size_t>(number)].label == name) return {number, 0};
    }
    LS_ASSERT(false);
    return {};
  };
  GraphRewriter rewrite(graph);
  std::vector<bool> gone(graph.nodes().size());  // the statistics of frozen batch norms too
  for (int32_t i = 0; i < static_cast<int32_t>(graph.nodes().size()); ++i) {
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    const auto found = moments.find(i);
    if (node.op == "batch_norm" && found != moments.end() && is_frozen(graph, node, trainable)) {
      const auto& [mean, variance] = found->second;
      std::vector<Value> inputs;
      for (ValueId input : node.inputs) inputs.push_back(rewrite.value(input));
      for (const std::string& name : {mean, variance}) {
        inputs.push_back(rewrite.value(node_of_buffer(name)));
        rewrite.drop_output(Role::statistic, name);
      }
      const Value y = rewrite.target().apply("batch_norm_inference", std::move(inputs),
                                             node.attributes, node.label);
      rewrite.replace({i, 0}, y.id());
      gone[static_cast<size_t>(i)] = true;
    } else if (node.op == "batch_statistics" && gone[static_cast<size_t>(node.inputs[0].node)]) {
      gone[static_cast<size_t>(i)] = true;
    } else {
      rewrite.copy(i);
    }
  }
  return rewrite.finish();
}

}  // namespace lockstep
