// Convolutions, linear layers and reorders: oneDNN's operations as kernels.
#include <cstring>

#include "kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cpu {
namespace {

using onednn::Direction;

Direction direction_of(std::string_view op) {
  if (op.ends_with("_grad_input")) return Direction::grad_input;
  if (op.ends_with("_grad_weight")) return Direction::grad_weight;
  if (op.ends_with("_inference")) return Direction::inference;
  return Direction::forward;
}

// x, y and w of a convolution or a linear layer, wherever its direction has them.
struct Roles {
  const TensorType& x;
  const TensorType& w;
  const TensorType& y;
};
Roles roles_of(const KernelRequest& request, Direction direction) {
  const auto& in = request.inputs;
  const auto& out = request.outputs;
  switch (direction) {
    case Direction::grad_input:
      return {out[0], in[1], in[0]};
    case Direction::grad_weight:
      return {in[0], out[0], in[1]};
    default:
      return {in[0], in[1], out[0]};
  }
}

std::unique_ptr<Kernel> make_convolution(const KernelRequest& request, HostDevice& device) {
  const auto [direction, shape] = convolution_problem(request);
  if (shape.batch == 0) return make_zero_kernel(request);
  const Roles roles = roles_of(request, direction);
  return make_operation_kernel(
      onednn::convolution(direction, shape, roles.x.layout, roles.y.layout), as_cpu(device));
}

std::unique_ptr<Kernel> make_linear(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  const Direction direction = direction_of(request.op);
  const Roles roles = roles_of(request, direction);
  const onednn::LinearShape shape{.dtype = roles.x.dtype,
                                  .batch = roles.x.shape[0],
                                  .in = roles.x.shape[1],
                                  .out = roles.y.shape[1],
                                  .bias = request.attributes.as<LinearAttributes>().bias};
  if (shape.batch == 0) return make_zero_kernel(request);
  return make_operation_kernel(onednn::linear(direction, shape), as_cpu(device));
}

// Images of floats, or of bf16 where oneDNN has them; what else there is to reorder takes the
// shared loops.
std::unique_ptr<Kernel> make_reorder(const KernelRequest& request, HostDevice& device) {
  const TensorType& from = request.inputs[0];
  const TensorType& to = request.outputs[0];
  const bool known = from.dtype == DType::f32 ||
                     (from.dtype == DType::bf16 && as_cpu(device).computes(DType::bf16));
  if (known && from.dtype == to.dtype && from.shape == to.shape && to.shape.rank() == 4 &&
      to.shape.numel() > 0) {
    return make_operation_kernel(onednn::reorder(from, to), as_cpu(device));
  }
  HostKernelTable shared;
  add_reorder_kernels(shared);
  return shared.find("reorder")(request, device);
}

}  // namespace

ConvolutionProblem convolution_problem(const KernelRequest& request) {
  const auto& attributes = request.attributes.as<Conv2dAttributes>();
  const Direction direction = direction_of(request.op);
  const Roles roles = roles_of(request, direction);
  const auto pair = [](const std::array<int, 2>& values) {
    return std::array<int64_t, 2>{values[0], values[1]};
  };
  const Shape& x = roles.x.shape;
  const Shape& y = roles.y.shape;
  return {direction,
          {.dtype = roles.x.dtype,
           .batch = x[0],
           .groups = attributes.groups,
           .x = {x[1], x[2], x[3]},
           .y = {y[1], y[2], y[3]},
           .kernel = {roles.w.shape[2], roles.w.shape[3]},
           .stride = pair(attributes.stride),
           .padding = pair(attributes.padding),
           .dilation = pair(attributes.dilation),
           .bias = attributes.bias || attributes.batch_norm,
           .residual = attributes.residual,
           .relu = attributes.relu}};
}

bool has_fast_convolution(const KernelRequest& request) {
  const auto [direction, shape] = convolution_problem(request);
  if (shape.batch == 0) return true;
  const Roles roles = roles_of(request, direction);
  return !onednn::is_reference(
      onednn::convolution_implementation(direction, shape, roles.x.layout, roles.y.layout));
}

std::unique_ptr<Kernel> make_operation_kernel(std::unique_ptr<onednn::Operation> operation,
                                              CpuDevice& device) {
  class OperationKernel final : public Kernel {
   public:
    OperationKernel(std::unique_ptr<onednn::Operation> operation, const CpuDevice& device)
        : operation_(std::move(operation)), device_(device) {}
    void launch(const KernelArguments& arguments) override {
      device_.use_threads();
      operation_->run({arguments.inputs, arguments.outputs, arguments.workspace, nullptr});
    }
    int64_t workspace_bytes() const override { return operation_->workspace_bytes(); }
    std::string_view implementation() const override { return operation_->implementation(); }

   private:
    std::unique_ptr<onednn::Operation> operation_;
    const CpuDevice& device_;
  };
  return std::make_unique<OperationKernel>(std::move(operation), device);
}

void add_convolution_kernels(HostKernelTable& table) {
  for (const char* op : {"conv2d", "conv2d_grad_input", "conv2d_grad_weight"}) {
    table.set(op, make_convolution);
  }
}

void add_linear_kernels(HostKernelTable& table) {
  for (const char* op : {"linear", "linear_grad_input", "linear_grad_weight"}) {
    table.set(op, make_linear);
  }
}

void add_reorder_kernel(HostKernelTable& table) { table.set("reorder", make_reorder); }

}  // namespace lockstep::cpu
