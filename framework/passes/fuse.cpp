// Fuses what follows a batch norm into it: ReLU, or the addition of a shortcut and then ReLU.
//
//   y = batch_norm(x); z = relu(y)               ->  z = batch_norm{relu}(x)
//   y = batch_norm(x); s = add(y, r); z = relu(s) ->  z = batch_norm{relu, residual}(x, r)
//
// In training the fused op gives the ReLU's mask too where the device has that kernel: a gradient
// that reads a bit per element moves less memory than one that reads y.
//
// Only where nothing else reads y or s. The fused op stands where the ReLU stood, so r is known by
// then. If both operands of the addition are batch norms, the later one takes the addition in.
#include <optional>

#include "ops/attributes.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

struct Match {
  int32_t batch_norm;
  int32_t relu;
  std::optional<ValueId> residual;
  bool mask = false;
};

Attributes fused_attributes(const Node& batch_norm, const Match& match, bool mask) {
  auto attributes = batch_norm.attributes.as<BatchNormAttributes>();
  attributes.relu = true;
  attributes.residual = match.residual.has_value();
  attributes.mask = mask;
  return Attributes::of(attributes);
}

bool is_batch_norm(const Node& node) {
  if (node.op != "batch_norm" && node.op != "batch_norm_inference") return false;
  const auto& attributes = node.attributes.as<BatchNormAttributes>();
  return !attributes.relu && !attributes.residual;
}

class Matcher {
 public:
  Matcher(const Graph& graph, const Supports& supports)
      : graph_(graph), supports_(supports), uses_(graph.nodes().size()) {
    for (const Node& node : graph.nodes()) {
      for (ValueId input : node.inputs) count(input);
    }
    for (const Output& output : graph.outputs()) count(output.value);
  }

  std::optional<Match> match(int32_t number) const {
    const Node& relu = node(number);
    if (relu.op != "relu") return {};
    const ValueId input = relu.inputs[0];
    if (is_fusible(input)) return checked({input.node, number, {}});
    const Node& sum = node(input.node);
    if (sum.op != "add" || uses(input) != 1) return {};
    const ValueId a = sum.inputs[0], b = sum.inputs[1];
    const bool fuse_a = is_fusible(a), fuse_b = is_fusible(b);
    if (fuse_a && (!fuse_b || a.node > b.node)) return checked({a.node, number, b});
    if (fuse_b) return checked({b.node, number, a});
    return {};
  }

 private:
  const Node& node(int32_t number) const { return graph_.nodes()[static_cast<size_t>(number)]; }
  void count(ValueId value) {
    auto& ports = uses_[static_cast<size_t>(value.node)];
    if (ports.size() <= static_cast<size_t>(value.port))
      ports.resize(static_cast<size_t>(value.port) + 1);
    ++ports[static_cast<size_t>(value.port)];
  }
  int uses(ValueId value) const {
    const auto& ports = uses_[static_cast<size_t>(value.node)];
    return static_cast<size_t>(value.port) < ports.size() ? ports[static_cast<size_t>(value.port)]
                                                          : 0;
  }
  bool is_fusible(ValueId value) const {
    return value.port == 0 && is_batch_norm(node(value.node)) && uses(value) == 1;
  }
  std::optional<Match> checked(Match match) const {
    const Node& bn = node(match.batch_norm);
    match.mask = bn.op == "batch_norm" && supports_(bn.op, fused_attributes(bn, match, true));
    if (match.mask || supports_(bn.op, fused_attributes(bn, match, false))) return match;
    return {};
  }

  const Graph& graph_;
  const Supports& supports_;
  std::vector<std::vector<int>> uses_;  // of each node's outputs
};

}  // namespace

Graph fuse(const Graph& graph, const Supports& supports) {
  const Matcher matcher(graph, supports);
  const auto count = static_cast<int32_t>(graph.nodes().size());
  std::map<int32_t, Match> by_relu;
  std::vector<bool> absorbed(graph.nodes().size());  // batch norms and additions that vanish
  for (int32_t i = 0; i < count; ++i) {
    const auto match = matcher.match(i);
    if (!match) continue;
    by_relu.emplace(i, *match);
    absorbed[static_cast<size_t>(match->batch_norm)] = true;
    if (match->residual) {
      absorbed[static_cast<size_t>(graph.nodes()[static_cast<size_t>(i)].inputs[0].node)] = true;
    }
  }

  GraphRewriter rewrite(graph);
  std::vector<int32_t>
      postponed;  // readers of a vanished batch norm's moments, until the fused one stands
  const auto is_ready = [&](int32_t i) {
    for (ValueId input : graph.nodes()[static_cast<size_t>(i)].inputs) {
      if (!rewrite(input)) return false;
    }
    return true;
  };
  for (int32_t i = 0; i < count; ++i) {
    if (absorbed[static_cast<size_t>(i)]) continue;
    const auto found = by_relu.find(i);
    if (found == by_relu.end()) {
      is_ready(i) ? rewrite.copy(i) : postponed.push_back(i);
      continue;
    }
    const Match& match = found->second;
    const Node& bn = graph.nodes()[static_cast<size_t>(match.batch_norm)];
    std::vector<Value> inputs;
    for (ValueId input : bn.inputs) inputs.push_back(rewrite.value(input));
    if (match.residual) inputs.push_back(rewrite.value(*match.residual));
    const Value y =
        rewrite.target().apply(bn.op, inputs, fused_attributes(bn, match, match.mask), bn.label);
    rewrite.replace({i, 0}, y.id());
    for (int32_t port = 1; port < static_cast<int32_t>(bn.outputs.size()); ++port) {
      rewrite.replace({match.batch_norm, port}, {y.id().node, port});
    }
    std::erase_if(postponed, [&](int32_t waiting) {
      if (!is_ready(waiting)) return false;
      rewrite.copy(waiting);
      return true;
    });
  }
  LS_ASSERT(postponed.empty());
  return rewrite.finish();
}

}  // namespace lockstep
