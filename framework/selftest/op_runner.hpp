// Runs single nodes of a graph on a device: chooses layouts, reorders, allocates, prepares,
// launches, brings back plain.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device/device.hpp"
#include "selftest/tensor.hpp"

namespace lockstep {

class Registry;

// How a node is run.
struct RunOptions {
  Layout available = Layout::plain;    // what four-dimensional inputs come in
  const InPlace* in_place = nullptr;   // this output lies on this input
  const Registry* registry = nullptr;  // kernels that plugins bring; null: the device's own alone
};

// The layouts a device chooses for a node whose four-dimensional inputs come in `available`.
LayoutChoice choose_layouts(const Device& device, const Graph& graph, const Node& node,
                            Layout available);

// Every layout that the device gives to images of the cases, plain first: what its kernels may
// meet.
std::vector<Layout> used_layouts(const Device& device, const OpRegistry& ops);

// A node's kernel, with the node's types as the device chooses their layouts.
struct PreparedNode {
  std::vector<TensorType> inputs, outputs;
  std::unique_ptr<Kernel> kernel;
};
// `inputs` may be of other types than the graph's. Kernels that plugins bring come from the
// registry; null: the device's own alone.
PreparedNode prepare_node(Device& device, const Graph& graph, const Node& node,
                          const std::vector<TensorType>& inputs, Layout available,
                          const Registry* registry = nullptr);

struct NodeResult {
  std::vector<Tensor> outputs;
  std::string implementation;
  bool padding_is_zero = true;  // channels past C of blocked outputs
  bool repeats = true;          // a second launch gave the same bits
};

// Memory that is not written holds NaN (all bits set), so that a kernel that leaves elements out,
// or reads its output or workspace before writing it, is seen. In place, there are no outputs
// where the layouts that the device chooses forbid it.
NodeResult run_node(Device& device, const Graph& graph, const Node& node,
                    const std::vector<const Tensor*>& inputs, const RunOptions& options = {});

// Runs every node of the graph in order, plain between them. `feeds` gives the nodes of op "input";
// an all_reduce is among one rank.
std::vector<NodeResult> run_graph(Device& device, const Graph& graph,
                                  const std::map<std::string, Tensor>& feeds);
// The inputs of a node among such results.
std::vector<const Tensor*> inputs_of(const Node& node, const std::vector<NodeResult>& results);

}  // namespace lockstep
