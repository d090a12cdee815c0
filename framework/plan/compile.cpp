// compile(): from a request to a plan, pass by pass; then every kernel is prepared.
#include <algorithm>

#include "graph/op.hpp"
#include "plan/plan.hpp"
#include "plan/prepare_kernel.hpp"
#include "plan/step_block.hpp"
#include "plugin/registry.hpp"

namespace lockstep {
namespace {

constexpr int64_t aligned(int64_t bytes) {
  constexpr int64_t kAlignment = 64;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

bool is_memory(const Node& node) {
  return node.op == "input" || node.op == "parameter" || node.op == "buffer";
}

Address address_of_input(const std::string& name, const BatchLayout& batch) {
  if (name == "image" || name == "features") return {Arena::batch, batch.images};
  if (name == "labels") return {Arena::batch, batch.labels};
  if (name == "weights") return {Arena::batch, batch.weights};
  if (name == "indices") return {Arena::batch, batch.indices};
  if (name == "random_key") return {Arena::step, offsetof(StepBlock, random_key)};
  if (name == "loss_scale") return {Arena::step, offsetof(StepBlock, loss_scale)};
  if (name == "shard_fraction") return {Arena::step, offsetof(StepBlock, shard_fraction)};
  fail(Failure::usage, "input '", name,
       "': no such input; known are image, features, labels, weights, ",
       "indices, random_key, loss_scale and shard_fraction");
}

// What lies outside the activations arena.
std::map<ValueId, Address> fixed_addresses(const Graph& graph, const ParameterLayout& layout,
                                           const BatchLayout& batch) {
  constexpr int64_t kBytes = size_of(DType::f32);
  std::map<ValueId, Address> fixed;
  for (int32_t i = 0; i < static_cast<int32_t>(graph.nodes().size()); ++i) {
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    if (node.op == "input") {
      fixed[{i, 0}] = address_of_input(node.label, batch);
    } else if (node.op == "parameter") {
      fixed[{i, 0}] = {Arena::parameters, layout.find_parameter(node.label)->offset * kBytes};
    } else if (node.op == "buffer") {
      fixed[{i, 0}] = {Arena::buffers, layout.find_buffer(node.label)->offset * kBytes};
    }
  }
  for (const Output& output : graph.outputs()) {
    if (output.role == Role::gradient) {
      fixed[output.value] = {Arena::gradients, layout.find_parameter(output.name)->offset * kBytes};
    } else if (output.role == Role::statistic) {
      const int64_t offset = layout.trainable_elements + layout.find_buffer(output.name)->offset;
      fixed[output.value] = {Arena::gradients, offset * kBytes};
    }
  }
  return fixed;
}

std::unique_ptr<Kernel> prepare_node(const Graph& graph, const Node& node, const Registry& registry,
                                     Device& device) {
  std::vector<TensorType> inputs;
  for (ValueId input : node.inputs) inputs.push_back(graph.type(input));
  return prepare_kernel({node.op, node.label, node.attributes, inputs, node.outputs,
                         graph.ops().at(node.op), graph.mode()},
                        registry, device);
}

// What the passes may ask the device for, in the plan's precision. A plugin's own kernel for the
// device is one of float32; the loops of a pointwise op are at home in any type.
Supports supported_ops(const PlanRequest& request, const Registry& registry, const Device& device) {
  return [&](std::string_view op, const Attributes& attributes) {
    const bool half = is_half(request.precision);
    if (half && registry.find_kernel(device.name(), op) != nullptr) return false;
    if (device.supports(op, attributes, request.precision)) return true;
    return half && registry.ops().at(op).pointwise.forward != nullptr;
  };
}

}  // namespace

std::unique_ptr<Kernel> prepare_kernel(const KernelRequest& request, const Registry& registry,
                                       Device& device) {
  const KernelFactory* factory = registry.find_kernel(device.name(), request.op);
  return factory != nullptr ? (*factory)(request) : device.prepare(request);
}

BatchLayout batch_layout(int64_t capacity, const Shape& sample) {
  BatchLayout layout{};
  layout.labels = aligned(capacity * sample.numel());
  layout.weights = layout.labels + aligned(capacity * size_of(DType::i32));
  layout.indices = layout.weights + aligned(capacity * size_of(DType::f32));
  layout.bytes = layout.indices + aligned(capacity * size_of(DType::i64));
  return layout;
}

PlanShape shape_plan(const PlanRequest& request, const Registry& registry, const Device& device,
                     const ParameterLayout& layout) {
  const Graph transformed =
      transform_graph(request, registry.ops(), supported_ops(request, registry, device));
  Graph graph = order_launches(assign_layouts(transformed, device));
  const BatchLayout batch = batch_layout(request.batch_size, request.sample());
  MemoryPlan memory = plan_memory(graph, fixed_addresses(graph, layout, batch));
  return {std::move(graph), std::move(memory)};
}

Plan compile(const PlanRequest& request, const Registry& registry, Device& device,
             const ParameterLayout& layout) {
  PlanShape shape = shape_plan(request, registry, device, layout);
  Plan plan{request.mode,
            request.batch_size,
            std::move(shape.graph),
            {},
            {},
            std::move(shape.memory),
            0,
            0,
            {}};
  const Graph& graph = plan.graph;
  if (request.mode == Mode::training) {
    plan.buckets = insert_all_reduce(graph, layout, request.bucket_bytes);
  }

  std::vector<int32_t> launch_of_node(graph.nodes().size(), -1);
  for (int32_t i = 0; i < static_cast<int32_t>(graph.nodes().size()); ++i) {
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    launch_of_node[static_cast<size_t>(i)] = static_cast<int32_t>(plan.launches.size()) - 1;
    if (is_memory(node)) continue;
    Launch launch{i, nullptr, {}, {}, 0};
    for (ValueId input : node.inputs) launch.inputs.push_back(plan.memory.addresses.at(input));
    for (int32_t port = 0; port < static_cast<int32_t>(node.outputs.size()); ++port) {
      launch.outputs.push_back(plan.memory.addresses.at({i, port}));
    }
    if (node.op != "all_reduce") {
      launch.kernel = prepare_node(graph, node, registry, device);
      plan.workspace_bytes = std::max(plan.workspace_bytes, launch.kernel->workspace_bytes());
      launch.constants = plan.constant_bytes;
      plan.constant_bytes += aligned(launch.kernel->constant_bytes());
    } else {
      LS_ASSERT(launch.inputs[0].offset == launch.outputs[0].offset);  // reduced in place
    }
    launch_of_node[static_cast<size_t>(i)] = static_cast<int32_t>(plan.launches.size());
    plan.launches.push_back(std::move(launch));
  }
  for (Bucket& bucket : plan.buckets)
    bucket.after = launch_of_node[static_cast<size_t>(bucket.after)];
  plan.metrics = plan.memory.addresses.at(graph.find_output(Role::metrics)->value);
  return plan;
}

}  // namespace lockstep
