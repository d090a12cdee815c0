#include "plan/parameters.hpp"

#include <set>

namespace lockstep {
namespace {

constexpr int64_t kAlignmentElements = 16;  // 64 bytes

int64_t aligned(int64_t elements) {
  return (elements + kAlignmentElements - 1) / kAlignmentElements * kAlignmentElements;
}

class LayoutBuilder {
 public:
  explicit LayoutBuilder(const Graph& graph) {
    for (const Output& output : graph.outputs(Role::gradient))
      add_parameter(graph, output.name, true);
    layout_.trainable_elements = layout_.parameter_elements;
    for (int32_t number : graph.find_all("parameter")) {
      add_parameter(graph, graph.nodes()[static_cast<size_t>(number)].label, false);
    }
    for (const Output& output : graph.outputs(Role::statistic)) add_buffer(graph, output.name);
    layout_.statistic_elements = layout_.buffer_elements;
    for (int32_t number : graph.find_all("buffer")) {
      add_buffer(graph, graph.nodes()[static_cast<size_t>(number)].label);
    }
  }

  ParameterLayout finish() { return std::move(layout_); }

 private:
  void add_parameter(const Graph& graph, const std::string& name, bool trainable) {
    if (!placed_.insert("parameter " + name).second) return;
    const Node* node = graph.find("parameter", name);
    LS_ASSERT(node != nullptr);
    const Shape& shape = node->outputs[0].shape;
    layout_.parameters.push_back({name, shape, node->attributes.as<ParameterAttributes>(),
                                  trainable, layout_.parameter_elements, shape.numel()});
    layout_.parameter_elements += aligned(shape.numel());
  }

  void add_buffer(const Graph& graph, const std::string& name) {
    if (!placed_.insert("buffer " + name).second) return;
    const Node* node = graph.find("buffer", name);
    LS_ASSERT(node != nullptr);
    const Shape& shape = node->outputs[0].shape;
    layout_.buffers.push_back({name, shape, node->attributes.as<BufferAttributes>(),
                               layout_.buffer_elements, shape.numel()});
    layout_.buffer_elements += aligned(shape.numel());
  }

  ParameterLayout layout_;
  std::set<std::string> placed_;
};

}  // namespace

int64_t ParameterLayout::parameter_count() const {
  int64_t count = 0;
  for (const ParameterSlot& parameter : parameters) count += parameter.count;
  return count;
}

const ParameterSlot* ParameterLayout::find_parameter(std::string_view name) const {
  for (const ParameterSlot& parameter : parameters) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

const BufferSlot* ParameterLayout::find_buffer(std::string_view name) const {
  for (const BufferSlot& buffer : buffers) {
    if (buffer.name == name) return &buffer;
  }
  return nullptr;
}

std::vector<std::string> head_parameters(const Graph& graph) {
  std::vector<ValueId> open;
  for (const Node& node : graph.nodes()) {
    if (node.op == "softmax_cross_entropy") open.push_back(node.inputs[0]);
  }
  std::vector<std::string> names;
  while (!open.empty()) {
    const Node& node = graph.node(open.back());
    open.pop_back();
    bool has_parameters = false;
    for (ValueId input : node.inputs) {
      const Node& source = graph.node(input);
      if (source.op != "parameter") continue;
      has_parameters = true;
      names.push_back(source.label);
    }
    if (!has_parameters) open.insert(open.end(), node.inputs.begin(), node.inputs.end());
  }
  return names;
}

ParameterLayout layout_parameters(const Graph& graph) { return LayoutBuilder(graph).finish(); }

}  // namespace lockstep
