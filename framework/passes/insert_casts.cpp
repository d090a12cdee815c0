// Mixed precision: convolutions and linear layers compute in a half type, what stands between them
// follows, and everything whose sums or small differences matter stays float32. Micikevicius et
// al., arXiv:1710.03740, section 3; which op computes in what is much as PyTorch's autocast has it.
//
//   y = conv2d(x, w, b)  ->  y = conv2d(cast(x), cast(w), b)
//
// Parameters are cast where they are used, so that the optimizer sees float32 alone: the gradient
// of a cast casts back. A value is cast once per type, just before its first reader. Must run after
// fuse and before differentiate, whose rules then give gradients the types of their values.
#include <algorithm>
#include <array>
#include <optional>

#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

// Which inputs of an op are to be in its own precision; the others stay as they are.
struct Rule {
  bool computes = false;  // in half, whatever it is given; else it follows what it is given
  std::vector<size_t> inputs;
};

Rule all_inputs(const Node& node) {
  Rule rule;
  for (size_t i = 0; i < node.inputs.size(); ++i) rule.inputs.push_back(i);
  return rule;
}

// None for ops that are float32 always.
std::optional<Rule> rule_of(const Node& node, const OpRegistry& ops) {
  const std::string& op = node.op;
  if (op == "conv2d" || op == "linear") return Rule{true, {0, 1}};
  // A kernel folds and packs the weight of these itself, so it stays a parameter.
  if (op == "linear_inference") return Rule{true, {0}};
  if (op == "conv2d_inference") {
    const bool residual = node.attributes.as<Conv2dAttributes>().residual;
    return residual ? Rule{true, {0, 2}} : Rule{true, {0}};
  }
  if (op == "batch_norm" || op == "batch_norm_inference") {
    const bool residual = node.attributes.as<BatchNormAttributes>().residual;
    return residual ? Rule{false, {0, node.inputs.size() - 1}} : Rule{false, {0}};
  }
  if (op == "batch_moments" || op == "batch_norm_apply" || op == "dropout") return Rule{false, {0}};
  constexpr std::array kFollowers = {
      "add",       "scale",      "concat",     "slice_channels",      "pad_channels",
      "subsample", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "reshape"};
  const bool follows = std::find(kFollowers.begin(), kFollowers.end(), op) != kFollowers.end();
  if (follows || ops.at(op).pointwise.forward != nullptr) return all_inputs(node);
  return {};
}

class CastInserter {
 public:
  CastInserter(const Graph& graph, DType half, const Supports& supports)
      : rewrite_(graph), readers_(users(graph)), half_(half), supports_(supports) {}

  Graph run() {
    const Graph& source = rewrite_.source();
    for (int32_t i = 0; i < static_cast<int32_t>(source.nodes().size()); ++i) {
      const Node& node = source.nodes()[static_cast<size_t>(i)];
      if (node.inputs.empty()) {
        rewrite_.copy(i);
      } else if (node.op == "normalize") {
        place_normalize(i, node);
      } else {
        place(i, node);
      }
    }
    for (const Output& output : source.outputs()) {
      const Value value = rewrite_.value(output.value);
      rewrite_.target().output(output.role, output.name,
                               is_half(value) ? in(value, DType::f32) : value);
    }
    return rewrite_.finish();
  }

 private:
  static bool is_half(Value value) { return lockstep::is_half(value.type().dtype); }

  void place(int32_t number, const Node& node) {
    std::vector<Value> inputs;
    for (ValueId input : node.inputs) inputs.push_back(rewrite_.value(input));
    if (node.op == "cast") {  // the model's own
      const DType type = node.attributes.as<CastAttributes>().dtype;
      return rewrite_.replace({number, 0}, in(inputs[0], type).id());
    }
    const std::optional<Rule> rule = rule_of(node, rewrite_.source().ops());
    if (rule && wants_half(node, *rule, inputs)) {
      for (size_t i : rule->inputs) inputs[i] = in(inputs[i], half_);
    } else {
      for (Value& input : inputs) input = is_half(input) ? in(input, DType::f32) : input;
    }
    append(number, node, std::move(inputs), node.attributes);
  }

  bool wants_half(const Node& node, const Rule& rule, const std::vector<Value>& inputs) const {
    bool wanted = rule.computes;
    for (size_t i : rule.inputs) wanted |= is_half(inputs[i]);
    return wanted && supports_(node.op, node.attributes);
  }

  // Pictures become half at once where nobody reads them otherwise.
  void place_normalize(int32_t number, const Node& node) {
    auto attributes = node.attributes.as<NormalizeAttributes>();
    attributes.dtype = half_;
    const Attributes in_half = Attributes::of(std::move(attributes));
    bool wanted = supports_(node.op, in_half);
    for (int32_t reader : readers_[static_cast<size_t>(number)]) {
      const Node& user = rewrite_.source().nodes()[static_cast<size_t>(reader)];
      const std::optional<Rule> rule = rule_of(user, rewrite_.source().ops());
      wanted = wanted && rule && rule->computes && supports_(user.op, user.attributes);
    }
    append(number, node, {rewrite_.value(node.inputs[0])}, wanted ? in_half : node.attributes);
  }

  void append(int32_t number, const Node& node, std::vector<Value> inputs,
              const Attributes& attributes) {
    const Value first = rewrite_.target().apply(node.op, std::move(inputs), attributes, node.label);
    for (int32_t port = 0; port < static_cast<int32_t>(node.outputs.size()); ++port) {
      rewrite_.replace({number, port}, {first.id().node, port});
    }
  }

  // The value in this type. Widening loses nothing, so what was widened is had back as it was.
  Value in(Value value, DType type) {
    if (value.type().dtype == type) return value;
    Graph& target = rewrite_.target();
    const Node& node = target.node(value.id());
    if (node.op == "cast" && value.type().dtype == DType::f32) {
      const Value before(&target, node.inputs[0]);
      if (before.type().dtype == type) return before;
    }
    Value& cast = casts_[{value.id(), type}];
    if (!cast) {
      cast = target.apply("cast", {value}, Attributes::of(CastAttributes{type}),
                          concat(node.label, "/", name(type)));
    }
    return cast;
  }

  GraphRewriter rewrite_;
  std::vector<std::vector<int32_t>> readers_;
  DType half_;
  const Supports& supports_;
  std::map<std::pair<ValueId, DType>, Value> casts_;
};

}  // namespace

Graph insert_casts(const Graph& graph, DType half, const Supports& supports) {
  LS_ASSERT(is_half(half));
  return CastInserter(graph, half, supports).run();
}

}  // namespace lockstep
