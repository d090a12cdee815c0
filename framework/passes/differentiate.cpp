// Reverse-mode differentiation as a change of the graph: gradients are nodes like any others.
//
// Nodes stand in an order in which inputs come first, so one sweep from the loss backwards meets
// every node after all readers of its results; a result with several readers gets the sum of their
// contributions.
#include <algorithm>
#include <set>

#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

using Trainable = std::function<bool(std::string_view name)>;

// For each node: whether a trainable parameter is among its ancestors, or itself.
std::vector<bool> find_trainable_paths(const Graph& graph, const Trainable& trainable) {
  std::vector<bool> found;
  for (const Node& node : graph.nodes()) {
    bool on_path = node.op == "parameter" && trainable(node.label);
    for (ValueId input : node.inputs) on_path |= found[static_cast<size_t>(input.node)];
    found.push_back(on_path);
  }
  return found;
}

class ReverseSweep {
 public:
  ReverseSweep(Graph& graph, std::vector<bool> on_path)
      : graph_(graph), on_path_(std::move(on_path)) {}

  void seed(ValueId value, Value gradient) { gradients_[value] = gradient; }

  void run(int32_t last) {
    for (int32_t i = last; i >= 0; --i) {
      const Node& node = graph_.nodes()[static_cast<size_t>(i)];
      if (on_path_[static_cast<size_t>(i)] && !node.inputs.empty()) visit(i, node);
    }
  }

  Value gradient(ValueId value) const {
    const auto found = gradients_.find(value);
    return found == gradients_.end() ? Value() : found->second;
  }

 private:
  void visit(int32_t number, const Node& node) {
    std::vector<Value> inputs, outputs, d_outputs;
    std::vector<bool> needed;
    bool reached = false;
    for (int32_t port = 0; port < static_cast<int32_t>(node.outputs.size()); ++port) {
      outputs.emplace_back(&graph_, ValueId{number, port});
      d_outputs.push_back(gradient({number, port}));
      reached |= static_cast<bool>(d_outputs.back());
    }
    if (!reached) return;
    for (ValueId input : node.inputs) {
      inputs.emplace_back(&graph_, input);
      needed.push_back(on_path_[static_cast<size_t>(input.node)]);
    }

    const OpDef& op = graph_.ops().at(node.op);
    if (op.gradient == nullptr) {
      fail(Failure::usage, node.label, ": op '", node.op,
           "' has no gradient; freeze what lies before it");
    }
    const auto d_inputs = op.gradient({node, graph_, inputs, outputs, d_outputs, needed});
    LS_ASSERT(d_inputs.size() == inputs.size());
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (needed[k] && d_inputs[k]) contribute(inputs[k].id(), d_inputs[k]);
    }
  }

  void contribute(ValueId value, Value gradient) {
    Value& sum = gradients_[value];
    const std::string label = graph_.node(value).label + "/sum_gradients";
    sum = sum ? graph_.apply("add", {sum, gradient}, {}, label) : gradient;
  }

  Graph& graph_;
  std::vector<bool> on_path_;
  std::map<ValueId, Value> gradients_;
};

}  // namespace

Graph differentiate(const Graph& source, const Trainable& trainable) {
  GraphRewriter rewrite(source);
  for (int32_t i = 0; i < static_cast<int32_t>(source.nodes().size()); ++i) rewrite.copy(i);
  Graph graph = rewrite.finish();

  const Output* loss = graph.find_output(Role::loss);
  LS_ASSERT(loss != nullptr);
  const ValueId loss_value = loss->value;
  ReverseSweep sweep(graph, find_trainable_paths(graph, trainable));
  sweep.seed(loss_value, graph.input("loss_scale", {DType::f32, {}}));
  sweep.run(loss_value.node);

  std::vector<std::pair<ValueId, std::string>> gradients;
  for (int32_t number : graph.find_all("parameter")) {
    const std::string& name = graph.nodes()[static_cast<size_t>(number)].label;
    const Value gradient = sweep.gradient({number, 0});
    if (trainable(name) && gradient) gradients.emplace_back(gradient.id(), name);
  }
  std::sort(gradients.begin(), gradients.end());  // in the order in which they are computed

  // Every gradient is written to a place of its own: a value wanted twice is copied.
  std::set<ValueId> taken;
  for (const auto& [value, name] : gradients) {
    Value own(&graph, value);
    if (!taken.insert(value).second) {
      own = graph.apply("scale", {own}, Attributes::of(ScaleAttributes{}), name + "/copy_gradient");
    }
    graph.output(Role::gradient, name, own);
  }
  return graph;
}

}  // namespace lockstep
