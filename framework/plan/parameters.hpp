// Where each parameter, gradient and running statistic lies in its arena: plain float32, every
// tensor 64-byte aligned.
//
// Parameters stand in the order in which backward produces their gradients, so that a bucket is a
// slice; frozen ones follow. The gradient arena has the trainable parameters' gradients at the
// parameters' offsets and then, from `trainable_elements` on, the shards' shares of the running
// statistics at the buffers' offsets.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace lockstep {

struct ParameterSlot {
  std::string name;
  Shape shape;
  ParameterAttributes attributes;
  bool trainable = true;
  int64_t offset = 0;  // in elements
  int64_t count = 0;
};

struct BufferSlot {
  std::string name;
  Shape shape;
  BufferAttributes attributes;
  int64_t offset = 0;
  int64_t count = 0;
};

struct ParameterLayout {
  std::vector<ParameterSlot> parameters;
  std::vector<BufferSlot> buffers;  // those with statistics first
  int64_t parameter_elements = 0;   // arena sizes, alignment included
  int64_t trainable_elements = 0;
  int64_t buffer_elements = 0;
  int64_t statistic_elements = 0;  // of the buffers that training updates

  int64_t gradient_elements() const { return trainable_elements + statistic_elements; }
  int64_t parameter_count() const;  // real elements, as papers count them
  const ParameterSlot* find_parameter(std::string_view name) const;
  const BufferSlot* find_buffer(std::string_view name) const;
};

// The parameters of the layers that make logits, auxiliary ones included: a model's head. From a
// graph with a loss, before any pass.
std::vector<std::string> head_parameters(const Graph& graph);

// From a differentiated training graph, or from an evaluation graph (then nothing is trainable).
ParameterLayout layout_parameters(const Graph& graph);

}  // namespace lockstep
