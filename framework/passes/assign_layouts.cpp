// Gives every value the layout that the device wishes, and reorders where one node's wish is not
// another's.
#include "device/device.hpp"
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

class LayoutAssigner {
 public:
  LayoutAssigner(const Graph& graph, const Device& device) : rewrite_(graph), device_(device) {}

  Graph run() {
    const Graph& source = rewrite_.source();
    for (int32_t i = 0; i < static_cast<int32_t>(source.nodes().size()); ++i) {
      const Node& node = source.nodes()[static_cast<size_t>(i)];
      node.inputs.empty() || node.op == "all_reduce" ? rewrite_.copy(i) : place(i, node);
    }
    Graph graph = rewrite_.finish();
    for (size_t k = 0; k < graph.outputs().size(); ++k) {
      const ValueId value = graph.outputs()[k].value;
      if (graph.type(value).layout != Layout::plain) {
        graph.set_output(k, append_reorder(graph, value, Layout::plain));
      }
    }
    return graph;
  }

 private:
  void place(int32_t number, Node node) {
    Graph& target = rewrite_.target();
    std::vector<TensorType> types;
    std::vector<Layout> available;
    for (ValueId& input : node.inputs) {
      input = rewrite_(input);
      types.push_back(target.type(input));
      available.push_back(types.back().layout);
    }
    const KernelRequest request{node.op,      node.label,   node.attributes,
                                types,        node.outputs, target.ops().at(node.op),
                                target.mode()};
    const LayoutChoice choice = device_.choose_layouts(request, available);
    LS_ASSERT(choice.inputs.size() == node.inputs.size());
    LS_ASSERT(choice.outputs.size() == node.outputs.size());
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      node.inputs[k] = in_layout(node.inputs[k], choice.inputs[k]);
    }
    for (size_t k = 0; k < node.outputs.size(); ++k) node.outputs[k].layout = choice.outputs[k];
    const auto ports = static_cast<int32_t>(node.outputs.size());
    const ValueId first = target.append(std::move(node));
    for (int32_t port = 0; port < ports; ++port) {
      rewrite_.replace({number, port}, {first.node, port});
    }
  }

  ValueId in_layout(ValueId value, Layout layout) {
    Graph& target = rewrite_.target();
    if (target.type(value).layout == layout) return value;
    ValueId& reordered = reordered_[{value, layout}];
    if (!reordered) reordered = append_reorder(target, value, layout);
    return reordered;
  }

  static ValueId append_reorder(Graph& graph, ValueId value, Layout layout) {
    TensorType type = graph.type(value);
    type.layout = layout;
    return graph.append({.op = "reorder",
                         .label = graph.node(value).label + "/reorder",
                         .inputs = {value},
                         .attributes = Attributes::of(ReorderAttributes{static_cast<int>(layout)}),
                         .outputs = {type}});
  }

  GraphRewriter rewrite_;
  const Device& device_;
  std::map<std::pair<ValueId, Layout>, ValueId> reordered_;
};

}  // namespace

Graph assign_layouts(const Graph& graph, const Device& device) {
  return LayoutAssigner(graph, device).run();
}

}  // namespace lockstep
