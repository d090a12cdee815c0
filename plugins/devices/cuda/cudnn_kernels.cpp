#include "cudnn_kernels.hpp"

#include <cuda_runtime_api.h>

#include "base/error.hpp"
#include "check.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cuda {
namespace {

// Of the tensors of a convolution, wherever its direction has them.
struct Roles {
  const TensorType& x;
  const TensorType& w;
  const TensorType& y;
};
Roles roles_of(const KernelRequest& request) {
  const auto& in = request.inputs;
  const auto& out = request.outputs;
  if (request.op.ends_with("_grad_input")) return {out[0], in[1], in[0]};
  if (request.op.ends_with("_grad_weight")) return {in[0], out[0], in[1]};
  return {in[0], in[1], out[0]};
}

std::array<int64_t, 2> pair(const std::array<int, 2>& values) { return {values[0], values[1]}; }

std::array<int64_t, 3> stored(const Shape& image) {
  return {stored_channels(image[1]), image[2], image[3]};
}

}  // namespace

void add_cudnn_kernels(CudaKernelTable& table) {
  add_convolution_kernels(table);
  add_linear_kernels(table);
  add_training_batch_norm_kernels(table);
  add_inference_kernels(table);
}

void require_channels_last(const KernelRequest& request) {
  const auto check_layout = [&](const TensorType& type) {
    if (type.layout == Layout::nhwc8c) return;
    fail(Failure::device, "was asked for ", type.text(), "; expected images as nhwc8c");
  };
  if (request.op.starts_with("conv2d")) {
    const Roles roles = roles_of(request);
    check_layout(roles.x), check_layout(roles.y);
    return;
  }
  for (const TensorType& type : request.inputs) {
    if (type.shape.rank() == 4) check_layout(type);
  }
  for (const TensorType& type : request.outputs) {
    if (type.shape.rank() == 4) check_layout(type);
  }
}

bool ConvolutionProblem::packs() const {
  return filter.height * filter.width > 1 || filter.stored_in != filter.in ||
         filter.stored_out != filter.out;
}

ConvolutionProblem convolution_problem(const KernelRequest& request) {
  require_channels_last(request);
  const auto& a = request.attributes.as<Conv2dAttributes>();
  const Roles roles = roles_of(request);
  const Shape &x = roles.x.shape, &w = roles.w.shape, &y = roles.y.shape;
  // Channels that memory pads make no groups of one size: such a convolution is done densely.
  const bool dense = stored_channels(x[1]) != x[1] || stored_channels(y[1]) != y[1];
  const int64_t groups = dense ? 1 : a.groups;
  const FilterShape filter{.out = w[0],
                           .in = w[1],
                           .height = w[2],
                           .width = w[3],
                           .stored_out = stored_channels(w[0]),
                           .stored_in = stored_channels(x[1]) / groups,
                           .groups = dense ? a.groups : 1};
  return {{.dtype = roles.x.dtype,
           .batch = x[0],
           .x = stored(x),
           .y = stored(y),
           .kernel = {w[2], w[3]},
           .stride = pair(a.stride),
           .padding = pair(a.padding),
           .dilation = pair(a.dilation),
           .groups = groups},
          filter};
}

FollowedProduct::MakeGraphs convolution_graphs(const ConvolutionShape& shape) {
  return [shape](const Followers& followers) {
    return std::vector{convolution_graph(shape, followers)};
  };
}

Epilogue convolution_epilogue(const ConvolutionProblem& problem) {
  const ConvolutionShape& s = problem.shape;
  return {.rows = s.batch * s.y[1] * s.y[2],
          .channels = problem.filter.out,
          .stored_channels = s.y[0],
          .bias = nullptr,
          .residual = nullptr,
          .relu = false};
}

std::shared_ptr<const ExecutionPlan> plan_one_of(CudaDevice& device,
                                                 std::span<const OperationGraph> graphs) {
  const auto plan = device.planner().plan_first(graphs);
  return plan != nullptr ? plan : device.planner().plan(graphs.front());  // throws: it says why not
}

std::unique_ptr<Kernel> make_zero_kernel(const KernelRequest& request) {
  std::vector<size_t> bytes;
  for (const TensorType& type : request.outputs) bytes.push_back(static_cast<size_t>(type.bytes()));
  return make_kernel(
      [bytes](const KernelArguments& arguments) {
        for (size_t i = 0; i < bytes.size(); ++i) {
          check(cudaMemsetAsync(arguments.outputs[i], 0, bytes[i], cuda_stream(arguments.stream)),
                "cudaMemsetAsync");
        }
      },
      "zeros");
}

FollowedProduct::FollowedProduct(CudaDevice& device, const MakeGraphs& graphs,
                                 const Followers& followers, DType dtype, const Epilogue& epilogue)
    : followers_(followers), dtype_(dtype), epilogue_(epilogue), handle_(device.handle()) {
  epilogue_.relu = followers.relu;
  auto plan = device.planner().plan_first(graphs(followers));
  fused_ = plan != nullptr;
  if (!fused_) plan = plan_one_of(device, graphs({}));
  runner_ = Runner(std::move(plan));
  plan_at_ = workspace_.add(runner_.plan().workspace_bytes());
  implementation_ = runner_.plan().implementation();
  if (fused_) return;
  implementation_ += " and own epilogue";
  if (followers_.residual) {
    residual_at_ = workspace_.add(epilogue_.rows * epilogue_.stored_channels * size_of(dtype_));
  }
}

void FollowedProduct::run(const Memory& memory, CudaStream stream) {
  const void* residual = memory.residual;
  if (!fused_ && residual == memory.y && residual != nullptr) {  // before the product covers it
    void* const copy = at(memory.workspace, residual_at_);
    const int64_t bytes = epilogue_.rows * epilogue_.stored_channels * size_of(dtype_);
    check(cudaMemcpyAsync(copy, residual, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice,
                          stream),
          "cudaMemcpyAsync");
    residual = copy;
  }
  std::array<Argument, 5> arguments{{{kX, memory.x}, {kW, memory.w}, {kY, memory.y}, {}, {}}};
  size_t count = 3;
  if (fused_ && followers_.bias) arguments[count++] = {kBias, memory.bias};
  if (fused_ && followers_.residual) arguments[count++] = {kResidual, residual};
  runner_.run(handle_, stream, std::span(arguments).first(count), at(memory.workspace, plan_at_));
  if (fused_) return;
  Epilogue epilogue = epilogue_;
  epilogue.bias = followers_.bias ? memory.bias : nullptr;
  epilogue.residual = residual;
  add_epilogue(epilogue, dtype_, memory.y, stream);
}

}  // namespace lockstep::cuda
