// The ONNX graph under construction, and how the framework's ops are said in it.
// The format and its field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"
#include "weights/protobuf.hpp"

namespace lockstep {

// Attributes of an ONNX node.
class OnnxAttributes {
 public:
  OnnxAttributes& integer(std::string_view name, int64_t value);
  OnnxAttributes& number(std::string_view name, double value);  // float32 in ONNX
  OnnxAttributes& integers(std::string_view name, const std::vector<int64_t>& values);
  const std::vector<ProtoMessage>& messages() const { return messages_; }

 private:
  std::vector<ProtoMessage> messages_;
};

class OnnxGraph {
 public:
  // Appends a node with one output and returns that output's name, "value_N" if not given.
  std::string node(std::string_view op, std::span<const std::string> inputs,
                   const OnnxAttributes& attributes = {}, std::string output = {});
  // Tensors of the file; those without a name are "constant_N". Return the name.
  std::string floats(std::string name, const Shape& shape, std::span<const float> values);
  std::string integers(std::span<const int64_t> values);

  // float32; its first extent is the batch's and free.
  void input(std::string_view name, const Shape& shape);
  void output(std::string_view name, const Shape& shape);
  // Of the nodes that follow.
  void set_label(std::string label) { label_ = std::move(label); }

  ProtoMessage& message() { return message_; }

 private:
  void tensor(std::string_view name, std::span<const int64_t> dims, int type,
              std::string_view bytes);
  ProtoMessage message_;
  std::string label_;
  int64_t values_ = 0, constants_ = 0, nodes_ = 0;
};

// A node of the evaluation graph, as it is to be said in ONNX.
struct OnnxRequest {
  OnnxGraph& onnx;
  const Node& node;
  std::vector<std::string> inputs;  // names of the values
  std::vector<Shape> shapes;        // of the inputs
};
// Returns the name of output 0. Throws Error{usage} for an op that ONNX has not.
std::string add_onnx_node(OnnxRequest request);

}  // namespace lockstep
