// Folds what follows a convolution or a linear layer into it, for evaluation:
//
//   y = conv2d(x, w, b); n = batch_norm_inference(y, ...); s = add(n, r); z = relu(s)
//     ->  z = conv2d_inference{batch_norm, residual, relu}(x, w, r, b, ...)
//   y = linear(x, w, b); z = relu(y)  ->  z = linear_inference{relu}(x, w, b)
//
// Any of the followers may be missing; without any, the op still is one whose weights a device
// packs once. A follower is taken in where nothing else reads the value before it. The new node
// stands where the last of the old ones stood, so the residual is known by then. If both operands
// of an addition could take it in, the later one does.
#include <map>
#include <optional>

#include "ops/attributes.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

// Node numbers of a layer and the followers that go into it; -1: none.
struct Chain {
  int32_t layer = -1;
  int32_t batch_norm = -1;
  int32_t sum = -1;
  int32_t relu = -1;
  ValueId residual = {};

  int32_t last() const {
    for (int32_t node : {relu, sum, batch_norm}) {
      if (node >= 0) return node;
    }
    return layer;
  }
};

class ChainFinder {
 public:
  explicit ChainFinder(const Graph& graph) : graph_(graph), readers_(users(graph)) {
    is_output_.resize(graph.nodes().size());
    for (const Output& output : graph.outputs()) {
      is_output_[static_cast<size_t>(output.value.node)] = true;
    }
  }

  // The chain that begins with this node, if it is a layer that can be folded.
  std::optional<Chain> find(int32_t number) const {
    std::optional<Chain> chain = find_normalized(number);
    if (!chain) return {};
    if (node(number).op == "conv2d") take_sum(*chain);
    const int32_t next = sole_reader(chain->last());
    if (next >= 0 && node(next).op == "relu") chain->relu = next;
    return chain;
  }

 private:
  const Node& node(int32_t number) const { return graph_.nodes()[static_cast<size_t>(number)]; }

  // A layer and its batch norm.
  std::optional<Chain> find_normalized(int32_t number) const {
    const Node& layer = node(number);
    if (layer.op != "conv2d" && layer.op != "linear") return {};
    if (!is_constant_from(layer, 1)) return {};
    Chain chain{.layer = number};
    const int32_t next = sole_reader(number);
    if (next < 0 || node(next).op != "batch_norm_inference") return chain;
    const Node& bn = node(next);
    const auto& attributes = bn.attributes.as<BatchNormAttributes>();
    const bool alone = !attributes.relu && !attributes.residual;
    if (alone && bn.inputs[0].node == number && is_constant_from(bn, 1)) chain.batch_norm = next;
    return chain;
  }

  void take_sum(Chain& chain) const {
    const int32_t before = chain.last();
    const int32_t next = sole_reader(before);
    if (next < 0 || node(next).op != "add") return;
    const Node& sum = node(next);
    const ValueId other = sum.inputs[sum.inputs[0].node == before ? 1 : 0];
    if (other.node > before && ends_layer(other.node)) return;  // it takes the addition
    chain.sum = next;
    chain.residual = other;
  }

  // Whether a chain of a convolution that this addition could go into ends here.
  bool ends_layer(int32_t number) const {
    if (sole_reader(number) < 0) return false;
    const Node& last = node(number);
    const int32_t layer = last.op == "batch_norm_inference" ? last.inputs[0].node : number;
    if (node(layer).op != "conv2d") return false;
    const std::optional<Chain> chain = find_normalized(layer);
    return chain && chain->last() == number;
  }

  // Whether all inputs from this one on are parameters or buffers.
  bool is_constant_from(const Node& user, size_t first) const {
    for (size_t i = first; i < user.inputs.size(); ++i) {
      const std::string& op = graph_.node(user.inputs[i]).op;
      if (op != "parameter" && op != "buffer") return false;
    }
    return true;
  }

  // The only place where the node's result is read, or -1. A node that reads it twice counts twice.
  int32_t sole_reader(int32_t number) const {
    const std::vector<int32_t>& readers = readers_[static_cast<size_t>(number)];
    if (readers.size() != 1 || is_output_[static_cast<size_t>(number)]) return -1;
    const Node& reader = node(readers[0]);
    int reads = 0;
    for (ValueId input : reader.inputs) reads += input.node == number ? 1 : 0;
    return reads == 1 ? readers[0] : -1;
  }

  const Graph& graph_;
  std::vector<std::vector<int32_t>> readers_;
  std::vector<bool> is_output_;
};

struct Folded {
  std::string op;
  std::string label;  // the layer's
  Attributes attributes;
  std::vector<ValueId> inputs;  // of the source graph
};

Folded fold(const Graph& graph, const Chain& chain) {
  const auto node = [&](int32_t number) -> const Node& {
    return graph.nodes()[static_cast<size_t>(number)];
  };
  const Node& layer = node(chain.layer);
  if (layer.op == "linear") {
    auto attributes = layer.attributes.as<LinearAttributes>();
    attributes.relu = chain.relu >= 0;
    return {"linear_inference", layer.label, Attributes::of(attributes), layer.inputs};
  }
  auto attributes = layer.attributes.as<Conv2dAttributes>();
  attributes.residual = chain.sum >= 0;
  attributes.relu = chain.relu >= 0;
  std::vector<ValueId> inputs = layer.inputs;  // x, w, [b]
  if (attributes.residual) inputs.insert(inputs.begin() + 2, chain.residual);
  if (chain.batch_norm >= 0) {
    const Node& bn = node(chain.batch_norm);
    attributes.batch_norm = true;
    attributes.epsilon = bn.attributes.as<BatchNormAttributes>().epsilon;
    inputs.insert(inputs.end(), bn.inputs.begin() + 1, bn.inputs.end());
  }
  return {"conv2d_inference", layer.label, Attributes::of(attributes), std::move(inputs)};
}

}  // namespace

Graph fold_batch_norm(const Graph& graph, const Supports& supports) {
  const ChainFinder finder(graph);
  const auto count = static_cast<int32_t>(graph.nodes().size());
  std::map<int32_t, Folded> by_last;
  std::vector<bool> vanishes(graph.nodes().size());
  for (int32_t i = 0; i < count; ++i) {
    const std::optional<Chain> chain = finder.find(i);
    if (!chain) continue;
    Folded folded = fold(graph, *chain);
    if (!supports(folded.op, folded.attributes)) continue;
    for (int32_t node : {chain->layer, chain->batch_norm, chain->sum, chain->relu}) {
      if (node >= 0) vanishes[static_cast<size_t>(node)] = true;
    }
    by_last.emplace(chain->last(), std::move(folded));
  }

  GraphRewriter rewrite(graph);
  for (int32_t i = 0; i < count; ++i) {
    const auto found = by_last.find(i);
    if (found == by_last.end()) {
      if (!vanishes[static_cast<size_t>(i)]) rewrite.copy(i);
      continue;
    }
    const auto& [op, label, attributes, inputs] = found->second;
    std::vector<Value> values;
    for (ValueId input : inputs) values.push_back(rewrite.value(input));
    rewrite.replace({i, 0}, rewrite.target().apply(op, values, attributes, label).id());
  }
  return rewrite.finish();
}

}  // namespace lockstep
