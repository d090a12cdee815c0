// A network as an ONNX model: the evaluation graph's nodes that lead to the logits, in order.
#include <map>

#include "base/error.hpp"
#include "base/text.hpp"
#include "base/versions.hpp"
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "weights/onnx_graph.hpp"
#include "weights/write.hpp"

namespace lockstep {
namespace {

constexpr int64_t kIrVersion = 7;
constexpr int64_t kOperatorSet = 13;

// Field numbers of ModelProto.
namespace model_field {
enum {
  ir_version = 1,
  producer_name = 2,
  producer_version = 3,
  doc_string = 6,
  graph = 7,
  opset_import = 8,
  metadata_props = 14
};
}

const HostTensor& find_tensor(const Checkpoint& checkpoint, const Node& node) {
  const TensorMap& map = node.op == "parameter" ? checkpoint.parameters : checkpoint.buffers;
  const auto found = map.find(node.label);
  if (found == map.end() || found->second.shape != node.outputs[0].shape) {
    fail(Failure::checkpoint, "export: ", node.op, " '", node.label, "' of ", node.outputs[0].shape,
         found == map.end() ? " is not in the checkpoint"
                            : concat(" has the shape ", found->second.shape, " in the checkpoint"),
         "; expected a checkpoint of this model");
  }
  return found->second;
}

ProtoMessage network(const Graph& graph, const Checkpoint& checkpoint) {
  OnnxGraph onnx;
  onnx.message().text(2, "lockstep");  // its name
  const ValueId logits = graph.find_output(Role::logits)->value;
  std::map<ValueId, std::string> names;
  const std::vector<bool> wanted = ancestors(graph, std::span(&logits, 1));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const Node& node = graph.nodes()[i];
    const ValueId value{static_cast<int32_t>(i), 0};
    if (!wanted[i] || node.op == "input") continue;
    if (node.op == "parameter" || node.op == "buffer") {
      names[value] =
          onnx.floats(node.label, node.outputs[0].shape, find_tensor(checkpoint, node).values);
    } else if (node.op == "normalize") {
      names[value] = "image";
      onnx.input("image", node.outputs[0].shape);
    } else {
      OnnxRequest request{onnx, node, {}, {}};
      for (ValueId input : node.inputs) {
        request.inputs.push_back(names.at(input));
        request.shapes.push_back(graph.type(input).shape);
      }
      onnx.set_label(node.label);
      names[value] = add_onnx_node(std::move(request));
    }
  }
  onnx.set_label("logits");
  onnx.node("Identity", std::vector{names.at(logits)}, {}, "logits");
  onnx.output("logits", graph.type(logits).shape);
  return std::move(onnx.message());
}

std::string list_numbers(const std::vector<double>& numbers, size_t channels, double otherwise) {
  std::string text;
  for (size_t i = 0; i < channels; ++i) {
    text += concat(i == 0 ? "" : ", ", float_text(numbers.empty() ? otherwise : numbers[i]));
  }
  return text;
}

}  // namespace

std::string onnx_bytes(const PlanRequest& wanted, const OpRegistry& ops,
                       const Checkpoint& checkpoint) {
  PlanRequest request = wanted;
  request.mode = Mode::evaluation;
  request.batch_size = 2;  // a free axis in the file; not 1, so that no other axis looks like it
  ProtoMessage graph = network(build_graph(request, ops), checkpoint);

  const auto channels = static_cast<size_t>(request.image[0]);
  const std::string mean = list_numbers(request.mean, channels, 0);
  const std::string std_text = list_numbers(request.std, channels, 1);
  const auto property = [](std::string_view key, std::string_view value) {
    return ProtoMessage().text(1, key).text(2, value);
  };
  ProtoMessage model;
  model.integer(model_field::ir_version, kIrVersion)
      .text(model_field::producer_name, "lockstep")
      .text(model_field::producer_version, lockstep_version())
      .text(model_field::doc_string,
            concat("Input image: float32 (batch, channels, height, width), values of [0, 255] made "
                   "(value / 255 - mean) / std per channel, with mean ",
                   mean, " and std ", std_text,
                   ". Output logits: float32 (batch, classes); softmax gives probabilities."))
      .message(model_field::opset_import, ProtoMessage().text(1, "").integer(2, kOperatorSet))
      .message(model_field::metadata_props, property("mean", mean))
      .message(model_field::metadata_props, property("std", std_text));
  constexpr size_t kMost = (size_t{1} << 31) - 1;  // of Protocol Buffers
  if (graph.bytes().size() > kMost - (size_t{64} << 10)) {
    fail(Failure::other, "export: the network takes ",
         bytes_text(static_cast<int64_t>(graph.bytes().size())),
         "; expected less than 2 GiB, the limit of ONNX files; export it as safetensors");
  }
  model.reserve(model.bytes().size() + graph.bytes().size() + 16);
  model.message(model_field::graph, graph);
  return model.take();
}

}  // namespace lockstep
