// The graph of a computation: nodes apply ops to values. Values are pure; who may share memory is
// decided later.
//
// Nodes are kept in an order in which every input stands before its use, so a pass is a loop over
// nodes().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/layout.hpp"
#include "graph/attributes.hpp"

namespace lockstep {

class Graph;
class OpRegistry;

// One output of a node, by number. Invalid (node < 0) stands for "none".
struct ValueId {
  int32_t node = -1;
  int32_t port = 0;
  explicit operator bool() const { return node >= 0; }
  friend auto operator<=>(const ValueId&, const ValueId&) = default;
};

// A handle with which models and gradient rules build graphs.
class Value {
 public:
  Value() = default;
  Value(Graph* graph, ValueId id) : graph_(graph), id_(id) {}
  explicit operator bool() const { return static_cast<bool>(id_); }

  Graph& graph() const { return *graph_; }
  ValueId id() const { return id_; }
  const TensorType& type() const;
  const Shape& shape() const { return type().shape; }

 private:
  Graph* graph_ = nullptr;
  ValueId id_;
};

struct Node {
  std::string op;
  std::string label;  // where it comes from: "layer1.0.conv1", "layer1.0.conv1/grad_weight"
  std::vector<ValueId> inputs;
  Attributes attributes;
  std::vector<TensorType> outputs;
};

// What a graph's result is for.
enum class Role : uint8_t {
  logits,     // (N, classes)
  features,   // what goes into the classifier
  loss,       // scalar: the sum over the samples, weights and auxiliary heads included
  metrics,    // f64(5): see the op classification_metrics
  gradient,   // of the parameter of this name, plain layout
  statistic,  // this shard's share of the buffer of this name
};
std::string_view name(Role role);

struct Output {
  Role role;
  std::string name;
  ValueId value;
};

enum class Mode : uint8_t { training, evaluation };

// How a parameter begins. `fan` values follow from the parameter's shape: fan_in = product of all
// extents but the first, fan_out = product of all but the second.
struct Init {
  enum Kind : uint8_t { constant, normal, he_normal_fan_out, he_normal_fan_in, uniform_fan_in };
  Kind kind = constant;
  // The constant; the standard deviation of `normal`; the fan_in of `uniform_fan_in`, 0 being the
  // parameter's own.
  double value = 0;
  // uniform_fan_in: U(-1/sqrt(value), 1/sqrt(value)), PyTorch's default for convolutions, linear
  // layers and all biases.

  static Init zeros() { return {constant, 0}; }
  static Init ones() { return {constant, 1}; }
};

// What a parameter is to the optimizer: "decay_norm_and_bias = false" exempts the last two from
// weight decay.
enum class ParameterKind : uint8_t { weight, bias, norm };

// Attributes of the ops that stand for memory which outlives a step.
struct ParameterAttributes {
  Init init;
  ParameterKind kind = ParameterKind::weight;
};
struct BufferAttributes {
  double initial = 0;
  double momentum = 0.1;  // running = (1 - momentum) * running + momentum * batch
};
void describe(Options<ParameterAttributes>&);
void describe(Options<BufferAttributes>&);

class Graph {
 public:
  explicit Graph(Mode mode, const OpRegistry& ops) : mode_(mode), ops_(&ops) {}
  // Values point to their graph, so graphs stay where they are; passes make new ones.
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  Mode mode() const { return mode_; }
  const OpRegistry& ops() const { return *ops_; }
  const std::deque<Node>& nodes() const { return nodes_; }
  const Node& node(ValueId id) const { return nodes_[static_cast<size_t>(id.node)]; }
  const TensorType& type(ValueId id) const {
    return node(id).outputs[static_cast<size_t>(id.port)];
  }
  const std::vector<Output>& outputs() const { return outputs_; }
  std::vector<Output> outputs(Role role) const;
  const Output* find_output(Role role, std::string_view name = {}) const;

  // Appends a node; the op infers its output types. Shapes that do not fit throw Error{usage} with
  // the label.
  Value apply(std::string_view op, std::vector<Value> inputs, Attributes attributes = {},
              std::string label = {});
  // Appends a node as it is (inputs must be in this graph, types known): for passes that rewrite.
  ValueId append(Node node);

  // The input of this name, made on first use: "image" u8(N, C, H, W), "labels" i32(N), "weights"
  // f32(N), "indices" i64(N), and scalars of the step block (see plan/step_block.hpp).
  Value input(std::string_view name, TensorType type);
  Value parameter(std::string name, Shape shape, ParameterAttributes attributes);  // f32
  Value buffer(std::string name, Shape shape, BufferAttributes attributes);        // f32
  void output(Role role, std::string name, Value value);
  void output(Role role, std::string name, ValueId value);
  // Points an existing output at another value.
  void set_output(size_t index, ValueId value) { outputs_[index].value = value; }

  // Node numbers of all parameters (op "parameter") or buffers ("buffer") in order of definition.
  std::vector<int32_t> find_all(std::string_view op) const;
  const Node* find(std::string_view op, std::string_view label) const;

 private:
  Mode mode_;
  const OpRegistry* ops_;
  std::deque<Node> nodes_;  // references stay valid while nodes are appended
  std::vector<Output> outputs_;
};

inline const TensorType& Value::type() const { return graph_->type(id_); }

// Copies a graph node by node while a pass changes some of them.
//
//   GraphRewriter rewrite(graph);
//   for (int32_t i = 0; …) special(i) ? rewrite.replace({i, 0}, rewrite.target().apply(…)) :
//   rewrite.copy(i); return rewrite.finish();   // outputs follow their values
class GraphRewriter {
 public:
  explicit GraphRewriter(const Graph& source);
  Graph& target() { return target_; }
  const Graph& source() const { return source_; }
  void copy(int32_t node);
  void replace(ValueId source, ValueId target);
  ValueId operator()(ValueId source) const;  // its place in the target; an invalid id stays so
  Value value(ValueId source) { return {&target_, (*this)(source)}; }
  // The target will not have this output of the source.
  void drop_output(Role role, std::string_view name);
  Graph finish();

 private:
  const Graph& source_;
  Graph target_;
  std::vector<std::vector<ValueId>> map_;
  std::set<std::pair<Role, std::string>> dropped_;
};

// One line per node: "%12 = batch_norm relu=true %11 %w3 %b4 -> f32(128, 64, 32, 32)   #
// layer1.0.bn1"
std::string print(const Graph& graph);

// For each node, whether one of the values is computed from it; their own nodes included.
std::vector<bool> ancestors(const Graph& graph, std::span<const ValueId> values);

// For each node, who uses its outputs.
std::vector<std::vector<int32_t>> users(const Graph& graph);

}  // namespace lockstep
