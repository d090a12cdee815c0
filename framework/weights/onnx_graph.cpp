#include "weights/onnx_graph.hpp"

#include "base/error.hpp"

namespace lockstep {
namespace {

// Field numbers of onnx.proto3.
namespace graph_field {
enum { node = 1, name = 2, initializer = 5, input = 11, output = 12 };
}
namespace node_field {
enum { input = 1, output = 2, name = 3, op_type = 4, attribute = 5 };
}
namespace attribute_field {
enum { name = 1, f = 2, i = 3, ints = 8, type = 20 };
}
namespace attribute_type {
enum { number = 1, integer = 2, integers = 7 };
}
namespace tensor_field {
enum { dims = 1, data_type = 2, name = 8, raw_data = 9 };
}
namespace data_type {
enum { float32 = 1, int64 = 7 };
}

ProtoMessage value_info(std::string_view name, const Shape& shape) {
  ProtoMessage extents;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    ProtoMessage extent;
    if (axis == 0) {
      extent.text(2, "batch");  // dim_param
    } else {
      extent.integer(1, shape[axis]);  // dim_value
    }
    extents.message(1, extent);
  }
  ProtoMessage tensor;
  tensor.integer(1, data_type::float32).message(2, extents);
  ProtoMessage info;
  info.text(1, name).message(2, ProtoMessage().message(1, tensor));
  return info;
}

template <class T>
std::string_view bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size_bytes()};
}

}  // namespace

OnnxAttributes& OnnxAttributes::integer(std::string_view name, int64_t value) {
  messages_.push_back(ProtoMessage()
                          .text(attribute_field::name, name)
                          .integer(attribute_field::i, value)
                          .integer(attribute_field::type, attribute_type::integer));
  return *this;
}

OnnxAttributes& OnnxAttributes::number(std::string_view name, double value) {
  messages_.push_back(ProtoMessage()
                          .text(attribute_field::name, name)
                          .number(attribute_field::f, static_cast<float>(value))
                          .integer(attribute_field::type, attribute_type::number));
  return *this;
}

OnnxAttributes& OnnxAttributes::integers(std::string_view name,
                                         const std::vector<int64_t>& values) {
  ProtoMessage message;
  message.text(attribute_field::name, name);
  for (int64_t value : values) message.integer(attribute_field::ints, value);
  message.integer(attribute_field::type, attribute_type::integers);
  messages_.push_back(std::move(message));
  return *this;
}

std::string OnnxGraph::node(std::string_view op, std::span<const std::string> inputs,
                            const OnnxAttributes& attributes, std::string output) {
  if (output.empty()) output = concat("value_", values_++);
  ProtoMessage message;
  for (const std::string& input : inputs) message.text(node_field::input, input);
  message.text(node_field::output, output);
  message.text(node_field::name, concat(label_.empty() ? op : label_, '_', nodes_++));
  message.text(node_field::op_type, op);
  for (const ProtoMessage& attribute : attributes.messages()) {
    message.message(node_field::attribute, attribute);
  }
  message_.message(graph_field::node, message);
  return output;
}

void OnnxGraph::tensor(std::string_view name, std::span<const int64_t> dims, int type,
                       std::string_view bytes) {
  ProtoMessage message;
  message.reserve(bytes.size() + name.size() + 64);
  for (int64_t extent : dims) message.integer(tensor_field::dims, extent);
  message.integer(tensor_field::data_type, type);
  message.text(tensor_field::name, name);
  message.text(tensor_field::raw_data, bytes);
  message_.message(graph_field::initializer, message);
}

std::string OnnxGraph::floats(std::string name, const Shape& shape, std::span<const float> values) {
  LS_ASSERT(shape.numel() == static_cast<int64_t>(values.size()));
  if (name.empty()) name = concat("constant_", constants_++);
  tensor(name, {shape.begin(), shape.end()}, data_type::float32, bytes_of(values));
  return name;
}

std::string OnnxGraph::integers(std::span<const int64_t> values) {
  const std::string name = concat("constant_", constants_++);
  const auto count = static_cast<int64_t>(values.size());
  tensor(name, {&count, 1}, data_type::int64, bytes_of(values));
  return name;
}

void OnnxGraph::input(std::string_view name, const Shape& shape) {
  message_.message(graph_field::input, value_info(name, shape));
}

void OnnxGraph::output(std::string_view name, const Shape& shape) {
  message_.message(graph_field::output, value_info(name, shape));
}

}  // namespace lockstep
