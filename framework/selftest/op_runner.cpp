#include "selftest/op_runner.hpp"

#include <algorithm>

#include "device/host_reorder.hpp"
#include "ops/attributes.hpp"
#include "plan/prepare_kernel.hpp"
#include "selftest/op_cases.hpp"

namespace lockstep {
namespace {

// Device memory, filled with NaN.
class Memory {
 public:
  Memory(Device& device, int64_t bytes)
      : device_(&device), bytes_(bytes), data_(device.allocate(bytes)) {
    poison();
  }
  Memory(Memory&& other) noexcept
      : device_(other.device_), bytes_(other.bytes_), data_(std::exchange(other.data_, nullptr)) {}
  ~Memory() {
    if (data_ != nullptr) device_->release(data_);
  }

  void poison() { upload(std::vector<char>(static_cast<size_t>(bytes_), '\xff').data()); }
  void upload(const void* host) {
    device_->copy_to_device(data_, host, bytes_, device_->compute_stream());
    device_->synchronize(device_->compute_stream());
  }
  std::vector<char> download() const {
    std::vector<char> host(static_cast<size_t>(bytes_));
    device_->copy_to_host(host.data(), data_, bytes_, device_->compute_stream());
    device_->synchronize(device_->compute_stream());
    return host;
  }
  void* data() const { return data_; }

 private:
  Device* device_;
  int64_t bytes_;
  void* data_;
};

// A value on the device and its type there.
struct Placed {
  TensorType type;
  Memory memory;
};

void launch(Device& device, Kernel& kernel, const std::vector<const void*>& inputs,
            const std::vector<void*>& outputs) {
  Memory workspace(device, kernel.workspace_bytes());
  Memory constants(device, kernel.constant_bytes());
  const KernelArguments arguments{inputs, outputs, workspace.data(), device.compute_stream(),
                                  constants.data()};
  if (kernel.constant_bytes() > 0) kernel.update_constants(arguments);
  workspace.poison();
  kernel.launch(arguments);
  device.synchronize(device.compute_stream());
}

Placed reorder(Device& device, const Graph& graph, const Placed& value, Layout layout) {
  TensorType type = value.type;
  type.layout = layout;
  Placed result{type, Memory(device, type.bytes())};
  if (type == value.type) {
    result.memory.upload(value.memory.download().data());
    return result;
  }
  const Attributes attributes = Attributes::of(ReorderAttributes{static_cast<int>(layout)});
  const auto kernel =
      device.prepare({"reorder", "reorder", attributes, std::span(&value.type, 1),
                      std::span(&type, 1), graph.ops().at("reorder"), graph.mode()});
  launch(device, *kernel, {value.memory.data()}, {result.memory.data()});
  return result;
}

Placed upload(Device& device, const Tensor& tensor) {
  Placed placed{tensor.type(), Memory(device, tensor.type().bytes())};
  placed.memory.upload(tensor.data());
  return placed;
}

Tensor download(Device& device, const Graph& graph, const Placed& placed) {
  const Placed plain = reorder(device, graph, placed, Layout::plain);
  Tensor tensor(plain.type.dtype, plain.type.shape);
  const std::vector<char> bytes = plain.memory.download();
  if (!bytes.empty()) std::memcpy(tensor.data(), bytes.data(), bytes.size());
  return tensor;
}

// Whether the element has no bit set but its sign: negative zero is zero.
bool is_zero(const char* element, DType dtype) {
  const int64_t size = size_of(dtype);
  for (int64_t i = 0; i < size; ++i) {
    const bool sign_byte = dtype != DType::u8 && i == size - 1;
    if ((element[i] & (sign_byte ? 0x7f : 0xff)) != 0) return false;
  }
  return true;
}

// Whether the channels that fill the last block are zero.
bool padding_is_zero(const Placed& placed) {
  const int64_t block = channel_block(placed.type.layout);
  const Shape& shape = placed.type.shape;
  if (block == 1 || shape[1] % block == 0) return true;
  const std::vector<char> bytes = placed.memory.download();
  const int64_t stored_channels = (shape[1] + block - 1) / block * block;
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (int64_t c = shape[1]; c < stored_channels; ++c) {
      for (int64_t h = 0; h < shape[2]; ++h) {
        for (int64_t w = 0; w < shape[3]; ++w) {
          const int64_t at = element_offset(placed.type, n, c, h, w) * size_of(placed.type.dtype);
          if (!is_zero(bytes.data() + at, placed.type.dtype)) return false;
        }
      }
    }
  }
  return true;
}

std::vector<TensorType> with_layouts(std::vector<TensorType> types,
                                     const std::vector<Layout>& layouts) {
  LS_ASSERT(types.size() == layouts.size());
  for (size_t i = 0; i < types.size(); ++i) types[i].layout = layouts[i];
  return types;
}

// Launches once, or twice where that must give the same; in place the inputs are gone after the
// first.
void launch_node(Device& device, Kernel& kernel, const std::vector<Placed>& inputs,
                 std::vector<Placed>& outputs, const InPlace* in_place, NodeResult& result) {
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const Placed& input : inputs) in.push_back(input.memory.data());
  for (const Placed& output : outputs) out.push_back(output.memory.data());
  if (in_place != nullptr) {
    out[static_cast<size_t>(in_place->output)] =
        inputs[static_cast<size_t>(in_place->input)].memory.data();
    launch(device, kernel, in, out);
    return;
  }
  launch(device, kernel, in, out);
  std::vector<std::vector<char>> first;
  for (Placed& output : outputs) {
    first.push_back(output.memory.download());
    output.memory.poison();
  }
  launch(device, kernel, in, out);
  for (size_t i = 0; i < outputs.size(); ++i) {
    result.repeats = result.repeats && outputs[i].memory.download() == first[i];
  }
}

}  // namespace

LayoutChoice choose_layouts(const Device& device, const Graph& graph, const Node& node,
                            Layout available) {
  std::vector<TensorType> types;
  std::vector<Layout> layouts;
  for (ValueId input : node.inputs) {
    types.push_back(graph.type(input));
    layouts.push_back(types.back().shape.rank() == 4 ? available : Layout::plain);
  }
  return device.choose_layouts({node.op, node.label, node.attributes, types, node.outputs,
                                graph.ops().at(node.op), graph.mode()},
                               layouts);
}

std::vector<Layout> used_layouts(const Device& device, const OpRegistry& ops) {
  std::vector<Layout> layouts{Layout::plain};
  const auto add = [&](const std::vector<Layout>& more) {
    for (Layout layout : more) {
      if (std::find(layouts.begin(), layouts.end(), layout) == layouts.end())
        layouts.push_back(layout);
    }
  };
  for (const OpCase& op_case : op_cases()) {
    const CaseGraph graph = make_graph(op_case, ops);
    for (const Node& node : graph.graph->nodes()) {
      if (node.op == "input" || node.op == "all_reduce") continue;
      for (size_t i = 0; i < layouts.size(); ++i) {
        const LayoutChoice choice = choose_layouts(device, *graph.graph, node, layouts[i]);
        add(choice.inputs);
        add(choice.outputs);
      }
    }
  }
  return layouts;
}

PreparedNode prepare_node(Device& device, const Graph& graph, const Node& node,
                          const std::vector<TensorType>& inputs, Layout available,
                          const Registry* registry) {
  const LayoutChoice choice = choose_layouts(device, graph, node, available);
  PreparedNode prepared{with_layouts(inputs, choice.inputs),
                        with_layouts(node.outputs, choice.outputs), nullptr};
  const KernelRequest request{node.op,         node.label,       node.attributes,
                              prepared.inputs, prepared.outputs, graph.ops().at(node.op),
                              graph.mode()};
  prepared.kernel =
      registry != nullptr ? prepare_kernel(request, *registry, device) : device.prepare(request);
  return prepared;
}

NodeResult run_node(Device& device, const Graph& graph, const Node& node,
                    const std::vector<const Tensor*>& inputs, const RunOptions& options) {
  std::vector<TensorType> types;
  for (const Tensor* input : inputs) types.push_back(input->type());
  const auto [in_types, out_types, kernel] =
      prepare_node(device, graph, node, types, options.available, options.registry);
  NodeResult result;
  result.implementation = kernel->implementation();
  const InPlace* in_place = options.in_place;
  if (in_place != nullptr) {
    const TensorType& from = in_types[static_cast<size_t>(in_place->input)];
    const TensorType& to = out_types[static_cast<size_t>(in_place->output)];
    if (from.layout != to.layout || from.bytes() != to.bytes()) return result;
  }

  std::vector<Placed> in, out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    in.push_back(reorder(device, graph, upload(device, *inputs[i]), in_types[i].layout));
  }
  for (const TensorType& type : out_types) out.push_back({type, Memory(device, type.bytes())});
  launch_node(device, *kernel, in, out, in_place, result);
  for (size_t i = 0; i < out.size(); ++i) {
    const bool on_input = in_place != nullptr && static_cast<size_t>(in_place->output) == i;
    if (on_input)
      out[i].memory.upload(in[static_cast<size_t>(in_place->input)].memory.download().data());
    result.padding_is_zero = result.padding_is_zero && padding_is_zero(out[i]);
    result.outputs.push_back(download(device, graph, out[i]));
  }
  return result;
}

std::vector<NodeResult> run_graph(Device& device, const Graph& graph,
                                  const std::map<std::string, Tensor>& feeds) {
  std::vector<NodeResult> results;
  for (const Node& node : graph.nodes()) {
    const std::vector<const Tensor*> inputs = inputs_of(node, results);
    NodeResult result;
    if (node.op == "input") {
      result.outputs = {feeds.at(node.label)};
    } else if (node.op == "all_reduce") {
      result.outputs = {*inputs[0]};
    } else {
      result = run_node(device, graph, node, inputs);
    }
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<const Tensor*> inputs_of(const Node& node, const std::vector<NodeResult>& results) {
  std::vector<const Tensor*> inputs;
  for (ValueId input : node.inputs) {
    const NodeResult& result = results[static_cast<size_t>(input.node)];
    inputs.push_back(&result.outputs[static_cast<size_t>(input.port)]);
  }
  return inputs;
}

}  // namespace lockstep
