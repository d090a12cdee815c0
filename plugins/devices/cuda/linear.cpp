// linear and its gradients: matrix products of plain, row-major matrices.
#include "base/error.hpp"
#include "cudnn_kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cuda {
namespace {

// A linear layer is a convolution of images of one pixel, in the same memory: cuDNN has engines for
// those that compute in float32 proper, and none for matrices.
ConvolutionShape of_pixels(const LinearShape& shape) {
  return {.dtype = shape.dtype,
          .batch = shape.batch,
          .x = {shape.in, 1, 1},
          .y = {shape.out, 1, 1},
          .kernel = {1, 1},
          .stride = {1, 1},
          .padding = {0, 0},
          .dilation = {1, 1},
          .groups = 1};
}

// x, w, [b] -> y
class LinearKernel final : public Kernel {
 public:
  LinearKernel(const LinearShape& shape, bool bias, CudaDevice& device)
      : bias_(bias),
        product_(device, linear_graphs(shape), {.bias = bias}, shape.dtype,
                 linear_epilogue(shape)) {}

  int64_t workspace_bytes() const override { return product_.workspace_bytes(); }
  std::string_view implementation() const override { return product_.implementation(); }

  void launch(const KernelArguments& a) override {
    product_.run({.x = a.inputs[0],
                  .w = a.inputs[1],
                  .bias = bias_ ? input(a, 2) : nullptr,
                  .residual = nullptr,
                  .y = a.outputs[0],
                  .workspace = a.workspace},
                 cuda_stream(a.stream));
  }

 private:
  bool bias_;
  FollowedProduct product_;
};

// dy, w -> dx
class GradInputKernel final : public PlannedKernel {
 public:
  GradInputKernel(const LinearShape& shape, CudaDevice& device)
      : PlannedKernel(
            device,
            plan_one_of(device, std::array{linear_grad_input_graph(shape),
                                           convolution_grad_input_graph(of_pixels(shape))})) {}

  void launch(const KernelArguments& a) override {
    const Argument arguments[] = {{kDy, a.inputs[0]}, {kW, a.inputs[1]}, {kDx, a.outputs[0]}};
    run_plan(a, arguments);
  }
};

// x, dy -> dw, [db]
class GradWeightKernel final : public PlannedKernel {
 public:
  GradWeightKernel(const LinearShape& shape, bool bias, CudaDevice& device)
      : PlannedKernel(
            device,
            plan_one_of(device, std::array{linear_grad_weight_graph(shape),
                                           convolution_grad_weight_graph(of_pixels(shape))})),
        shape_(shape),
        bias_(bias) {
    if (bias_) sums_at_ = workspace_.add(sum_rows_workspace_bytes(shape_.batch, shape_.out));
  }

  void launch(const KernelArguments& a) override {
    const Argument arguments[] = {{kX, a.inputs[0]}, {kDy, a.inputs[1]}, {kDw, a.outputs[0]}};
    run_plan(a, arguments);
    if (bias_) {
      sum_rows(shape_.batch, shape_.out, shape_.out, shape_.dtype, a.inputs[1], output(a, 1),
               at(a.workspace, sums_at_), cuda_stream(a.stream));
    }
  }

 private:
  LinearShape shape_;
  bool bias_;
  int64_t sums_at_ = 0;
};

std::unique_ptr<Kernel> make_linear(const KernelRequest& request, CudaDevice& device) {
  const LinearShape shape = linear_shape(request.inputs[0], request.outputs[0]);
  if (shape.batch == 0) return make_zero_kernel(request);
  const bool bias = request.attributes.as<LinearAttributes>().bias;
  return std::make_unique<LinearKernel>(shape, bias, device);
}

std::unique_ptr<Kernel> make_grad_input(const KernelRequest& request, CudaDevice& device) {
  const LinearShape shape = linear_shape(request.outputs[0], request.inputs[0]);
  if (shape.batch == 0) return make_zero_kernel(request);
  return std::make_unique<GradInputKernel>(shape, device);
}

std::unique_ptr<Kernel> make_grad_weight(const KernelRequest& request, CudaDevice& device) {
  const LinearShape shape = linear_shape(request.inputs[0], request.inputs[1]);
  if (shape.batch == 0) return make_zero_kernel(request);
  const bool bias = request.attributes.as<LinearAttributes>().bias;
  return std::make_unique<GradWeightKernel>(shape, bias, device);
}

}  // namespace

LinearShape linear_shape(const TensorType& x, const TensorType& y) {
  return {.dtype = x.dtype, .batch = x.shape[0], .in = x.shape[1], .out = y.shape[1]};
}

FollowedProduct::MakeGraphs linear_graphs(const LinearShape& shape) {
  return [shape](const Followers& followers) {
    return std::vector{linear_graph(shape, followers),
                       convolution_graph(of_pixels(shape), followers)};
  };
}

Epilogue linear_epilogue(const LinearShape& shape) {
  return {.rows = shape.batch,
          .channels = shape.out,
          .stored_channels = shape.out,
          .bias = nullptr,
          .residual = nullptr,
          .relu = false};
}

void add_linear_kernels(CudaKernelTable& table) {
  table.set("linear", make_linear);
  table.set("linear_grad_input", make_grad_input);
  table.set("linear_grad_weight", make_grad_weight);
}

}  // namespace lockstep::cuda
