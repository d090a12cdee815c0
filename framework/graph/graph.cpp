#include "graph/graph.hpp"

#include "graph/op.hpp"

namespace lockstep {
namespace {

// "layer1.0.bn1" for a node labelled "layer1.0.bn1/relu": labels do not grow along a chain.
std::string_view place_of(std::string_view label) { return label.substr(0, label.find('/')); }

// Inference knows no layouts: every type it sees is plain.
std::vector<TensorType> plain_types(const Graph& graph, const std::vector<ValueId>& values) {
  std::vector<TensorType> types;
  types.reserve(values.size());
  for (ValueId value : values) {
    types.push_back(graph.type(value));
    types.back().layout = Layout::plain;
  }
  return types;
}

}  // namespace

std::string_view name(Role role) {
  constexpr std::string_view kNames[] = {"logits",  "features", "loss",
                                         "metrics", "gradient", "statistic"};
  return kNames[static_cast<int>(role)];
}

std::vector<Output> Graph::outputs(Role role) const {
  std::vector<Output> found;
  for (const Output& output : outputs_) {
    if (output.role == role) found.push_back(output);
  }
  return found;
}

const Output* Graph::find_output(Role role, std::string_view name) const {
  for (const Output& output : outputs_) {
    if (output.role == role && output.name == name) return &output;
  }
  return nullptr;
}

Value Graph::apply(std::string_view op, std::vector<Value> inputs, Attributes attributes,
                   std::string label) {
  const OpDef& definition = ops_->at(op);
  Node node{std::string(op), std::move(label), {}, std::move(attributes), {}};
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i] || &inputs[i].graph() != this) {
      fail(Failure::usage, node.label.empty() ? "" : node.label + ": ", op, ": input ", i,
           " is no value of this graph; every input must be a value the same graph made");
    }
    node.inputs.push_back(inputs[i].id());
  }
  if (node.label.empty() && !inputs.empty()) {
    node.label = concat(place_of(this->node(node.inputs[0]).label), '/', op);
  }
  try {
    node.outputs = definition.infer(plain_types(*this, node.inputs), node.attributes);
  } catch (Error& error) {
    error.add_context(op);
    if (!node.label.empty()) error.add_context(node.label);
    throw;
  }
  return {this, append(std::move(node))};
}

ValueId Graph::append(Node node) {
  for ([[maybe_unused]] ValueId input : node.inputs) {
    LS_ASSERT(input && static_cast<size_t>(input.node) < nodes_.size());
    LS_ASSERT(static_cast<size_t>(input.port) < this->node(input).outputs.size());
  }
  nodes_.push_back(std::move(node));
  return {static_cast<int32_t>(nodes_.size() - 1), 0};
}

Value Graph::input(std::string_view name, TensorType type) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].op != "input" || nodes_[i].label != name) continue;
    if (nodes_[i].outputs[0] != type) {
      fail(Failure::usage, "input ", name, ": asked for as ", type, "; it is ",
           nodes_[i].outputs[0], " already; use another name or the same type");
    }
    return {this, {static_cast<int32_t>(i), 0}};
  }
  return {this, append({"input", std::string(name), {}, {}, {type}})};
}

Value Graph::parameter(std::string name, Shape shape, ParameterAttributes attributes) {
  if (find("parameter", name) != nullptr || find("buffer", name) != nullptr) {
    fail(Failure::usage, "parameter ", name, ": defined twice; every parameter and buffer has a ",
         "name of its own; give its layer a scope of its own, as in s / \"conv1\"");
  }
  const TensorType type{DType::f32, shape};
  return {this, append({"parameter", std::move(name), {}, Attributes::of(attributes), {type}})};
}

Value Graph::buffer(std::string name, Shape shape, BufferAttributes attributes) {
  if (find("parameter", name) != nullptr || find("buffer", name) != nullptr) {
    fail(Failure::usage, "buffer ", name, ": defined twice; every parameter and buffer has a ",
         "name of its own; give its layer a scope of its own, as in s / \"bn1\"");
  }
  const TensorType type{DType::f32, shape};
  return {this, append({"buffer", std::move(name), {}, Attributes::of(attributes), {type}})};
}

void Graph::output(Role role, std::string name, Value value) {
  LS_ASSERT(&value.graph() == this);
  output(role, std::move(name), value.id());
}

void Graph::output(Role role, std::string name, ValueId value) {
  LS_ASSERT(value && static_cast<size_t>(value.node) < nodes_.size());
  if (find_output(role, name) != nullptr) {
    fail(Failure::usage, "graph: output ", lockstep::name(role), " '", name,
         "' is set twice; outputs of one role have different names");
  }
  outputs_.push_back({role, std::move(name), value});
}

std::vector<int32_t> Graph::find_all(std::string_view op) const {
  std::vector<int32_t> found;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].op == op) found.push_back(static_cast<int32_t>(i));
  }
  return found;
}

const Node* Graph::find(std::string_view op, std::string_view label) const {
  for (const Node& node : nodes_) {
    if (node.op == op && node.label == label) return &node;
  }
  return nullptr;
}

GraphRewriter::GraphRewriter(const Graph& source)
    : source_(source), target_(source.mode(), source.ops()), map_(source.nodes().size()) {
  for (size_t i = 0; i < map_.size(); ++i) map_[i].resize(source.nodes()[i].outputs.size());
}

void GraphRewriter::copy(int32_t node) {
  Node copied = source_.nodes()[static_cast<size_t>(node)];
  for (ValueId& input : copied.inputs) input = (*this)(input);
  const ValueId first = target_.append(std::move(copied));
  std::vector<ValueId>& ports = map_[static_cast<size_t>(node)];
  for (size_t port = 0; port < ports.size(); ++port) {
    ports[port] = {first.node, static_cast<int32_t>(port)};
  }
}

void GraphRewriter::replace(ValueId source, ValueId target) {
  map_[static_cast<size_t>(source.node)][static_cast<size_t>(source.port)] = target;
}

ValueId GraphRewriter::operator()(ValueId source) const {
  if (!source) return {};
  return map_[static_cast<size_t>(source.node)][static_cast<size_t>(source.port)];
}

void GraphRewriter::drop_output(Role role, std::string_view name) {
  dropped_.emplace(role, std::string(name));
}

// Outputs that the pass set itself stay; all others but the dropped ones follow their values.
Graph GraphRewriter::finish() {
  for (const Output& output : source_.outputs()) {
    if (dropped_.contains({output.role, output.name})) continue;
    if (target_.find_output(output.role, output.name) != nullptr) continue;
    target_.output(output.role, output.name, (*this)(output.value));
  }
  return std::move(target_);
}

std::vector<bool> ancestors(const Graph& graph, std::span<const ValueId> values) {
  std::vector<bool> found(graph.nodes().size());
  for (ValueId value : values) found[static_cast<size_t>(value.node)] = true;
  for (size_t i = found.size(); i-- > 0;) {
    if (!found[i]) continue;
    for (ValueId input : graph.nodes()[i].inputs) found[static_cast<size_t>(input.node)] = true;
  }
  return found;
}

std::vector<std::vector<int32_t>> users(const Graph& graph) {
  std::vector<std::vector<int32_t>> users(graph.nodes().size());
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    for (ValueId input : graph.nodes()[i].inputs) {
      std::vector<int32_t>& list = users[static_cast<size_t>(input.node)];
      const auto user = static_cast<int32_t>(i);
      if (list.empty() || list.back() != user) list.push_back(user);
    }
  }
  return users;
}

}  // namespace lockstep
