// A graph as text, one line per node: what golden files hold and people read.
#include "graph/graph.hpp"

namespace lockstep {
namespace {

// "%12", or "%12.1" for an output that is not the first.
std::string reference(ValueId value) {
  std::string text = concat('%', value.node);
  if (value.port != 0) text += concat('.', value.port);
  return text;
}

std::string line(int32_t number, const Node& node) {
  std::string text = concat('%', number, " = ", node.op);
  const std::string attributes = node.attributes.text();
  if (!attributes.empty()) text += ' ' + attributes;
  for (ValueId input : node.inputs) text += ' ' + reference(input);
  text += " ->";
  for (size_t port = 0; port < node.outputs.size(); ++port) {
    text += concat(port == 0 ? " " : ", ", node.outputs[port]);
  }
  if (!node.label.empty()) text += "   # " + node.label;
  return text + '\n';
}

}  // namespace

std::string print(const Graph& graph) {
  std::string text;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    text += line(static_cast<int32_t>(i), graph.nodes()[i]);
  }
  for (const Output& output : graph.outputs()) {
    text += concat(name(output.role), output.name.empty() ? "" : " ", output.name, " = ",
                   reference(output.value), '\n');
  }
  return text;
}

}  // namespace lockstep
