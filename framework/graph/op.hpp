// What an op is: the types of its results and its gradient, both without kernels. Kernels belong to
// devices.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace lockstep {

// What a gradient rule sees of the node it differentiates. The rule appends nodes and saves what it
// mentions: inputs (x), outputs (y), or neither.
class GradientContext {
 public:
  const Node& node;
  Graph& graph;
  std::span<const Value> inputs;
  std::span<const Value> outputs;
  std::span<const Value> d_outputs;  // invalid where nothing depends on that output
  const std::vector<bool>& needed;   // per input: whether its gradient is wanted at all

  // Appends a node labelled "<label>/<suffix>" and returns its first output.
  Value apply(std::string_view op, std::vector<Value> in, Attributes attributes,
              std::string_view suffix) const;
  template <class T>
  const T& attributes() const {
    return node.attributes.as<T>();
  }
};

// One value per input; an invalid one where no gradient flows (labels, indices) or none is needed.
using GradientRule = std::function<std::vector<Value>(const GradientContext&)>;
// Output types from input types; throws Error{usage} that says what does not fit. Layouts play no
// part: all plain.
using InferRule =
    std::function<std::vector<TensorType>(std::span<const TensorType> inputs, const Attributes&)>;

// Output `output` may be written over input `input` when nobody needs that input any more.
struct InPlace {
  int input;
  int output;
};

// A pointwise op's loops over host memory, compiled for several instruction sets: y = f(x), dx =
// g(y, dy). Outputs may be the inputs.
struct PointwiseLoops {
  void (*forward)(const float* x, float* y, int64_t count) = nullptr;
  void (*backward)(const float* y, const float* dy, float* dx, int64_t count) = nullptr;
  bool keeps_zero = true;  // f(0) == 0: blocked layouts need no care
};

struct OpDef {
  std::string name;
  std::string help;
  InferRule infer;
  GradientRule gradient =
      nullptr;  // none: not differentiable; asking for it is an error that names the op
  std::vector<InPlace> in_place = {};
  PointwiseLoops pointwise = {};  // for pointwise ops and their gradients
  // Multiply-adds per application, for `summary`. None: 0.
  std::function<int64_t(std::span<const TensorType> inputs, const TensorType& output,
                        const Attributes&)>
      multiply_adds = nullptr;
  std::string plugin = {};  // the file that the op came from; empty: the framework
};

class OpRegistry {
 public:
  void add(OpDef op);                            // a name twice throws Error{usage}
  const OpDef& at(std::string_view name) const;  // unknown: Error{usage} with a suggestion
  const OpDef* find(std::string_view name) const;
  const std::map<std::string, OpDef, std::less<>>& all() const { return ops_; }

 private:
  std::map<std::string, OpDef, std::less<>> ops_;
};

// Adds every op of framework/ops (CMake collects the files: one `void add_NAME(OpRegistry&)` each).
void add_framework_ops(OpRegistry& ops);

}  // namespace lockstep
