// The cases of cases.txt: ops with shapes and attributes, as data that C++ and Python read.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.hpp"
#include "selftest/tensor.hpp"

namespace lockstep {

// An input of a case: `name(shape)` or `name(shape):fill`.
struct CaseInput {
  std::string name;
  Shape shape;
  std::string fill;  // how it is filled; see cases.txt
};

struct OpCase {
  std::string text;  // the line
  std::string name;  // "conv2d_3": the op and a number
  std::string op;
  std::vector<CaseInput> inputs;
  Attributes attributes;
};

// The text of cases.txt, which the library carries.
std::string_view op_cases_text();

// All cases, in the order of the file, read once.
const std::vector<OpCase>& op_cases();

// Whether the case has values that mixed precision halves; see ops/attributes.hpp.
bool has_half_values(const OpCase& op_case);

// The case as a graph: inputs, the op, and what its gradient rule appends, seeded with an input
// "dy" for the first output. `dtype` is that of the values that mixed precision halves.
struct CaseGraph {
  std::unique_ptr<Graph> graph;
  std::vector<Value> inputs;    // as in the case
  Value output;                 // the op's first
  std::vector<Value> d_inputs;  // gradients; invalid where there are none
};
CaseGraph make_graph(const OpCase& op_case, const OpRegistry& ops, DType dtype = DType::f32);

// What feeds the graph's nodes of op "input", by label.
std::map<std::string, Tensor> make_feeds(const OpCase& op_case, const Graph& graph);

}  // namespace lockstep
