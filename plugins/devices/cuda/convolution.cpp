// conv2d and its gradients. Filters are packed into KRSC, and their gradients unpacked, in the
// launch: the framework's are plain, so that optimizer, all-reduce and checkpoint see arrays.
#include "base/error.hpp"
#include "cudnn_kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cuda {
namespace {

// The second input as cuDNN wants it: as it is, or packed into the workspace.
const void* cudnn_filter(const ConvolutionProblem& problem, const KernelArguments& a,
                         int64_t filter_at) {
  if (!problem.packs()) return a.inputs[1];
  void* const packed = at(a.workspace, filter_at);
  pack_filter(problem.filter, problem.shape.dtype, a.inputs[1], packed, cuda_stream(a.stream));
  return packed;
}

// x, w, [b] -> y
class ConvolutionKernel final : public Kernel {
 public:
  ConvolutionKernel(const ConvolutionProblem& problem, bool bias, CudaDevice& device)
      : problem_(problem),
        bias_(bias),
        product_(device, convolution_graphs(problem.shape), {.bias = bias}, problem.shape.dtype,
                 convolution_epilogue(problem)) {
    product_at_ = workspace_.add(product_.workspace_bytes());
    if (problem_.packs()) filter_at_ = workspace_.add(problem_.shape.filter_bytes());
    if (bias_) bias_at_ = workspace_.add(problem_.filter.stored_out * size_of(DType::f32));
  }

  int64_t workspace_bytes() const override { return workspace_.bytes(); }
  std::string_view implementation() const override { return product_.implementation(); }

  void launch(const KernelArguments& a) override {
    const CudaStream stream = cuda_stream(a.stream);
    const void* const filter = cudnn_filter(problem_, a, filter_at_);
    const float* bias = bias_ ? input(a, 2) : nullptr;
    if (bias_ && problem_.filter.out != problem_.filter.stored_out) {
      auto* const padded = static_cast<float*>(at(a.workspace, bias_at_));
      pad_floats(bias, problem_.filter.out, 0, padded, problem_.filter.stored_out, stream);
      bias = padded;
    }
    product_.run({.x = a.inputs[0],
                  .w = filter,
                  .bias = bias,
                  .residual = nullptr,
                  .y = a.outputs[0],
                  .workspace = at(a.workspace, product_at_)},
                 stream);
  }

 private:
  ConvolutionProblem problem_;
  bool bias_;
  FollowedProduct product_;
  WorkspaceLayout workspace_;
  int64_t product_at_ = 0, filter_at_ = 0, bias_at_ = 0;
};

// dy, w -> dx
class GradInputKernel final : public PlannedKernel {
 public:
  GradInputKernel(const ConvolutionProblem& problem, CudaDevice& device)
      : PlannedKernel(device, device.planner().plan(convolution_grad_input_graph(problem.shape))),
        problem_(problem) {
    if (problem_.packs()) filter_at_ = workspace_.add(problem_.shape.filter_bytes());
  }

  void launch(const KernelArguments& a) override {
    const void* const filter = cudnn_filter(problem_, a, filter_at_);
    const Argument arguments[] = {{kDy, a.inputs[0]}, {kW, filter}, {kDx, a.outputs[0]}};
    run_plan(a, arguments);
  }

 private:
  ConvolutionProblem problem_;
  int64_t filter_at_ = 0;
};

// x, dy -> dw, [db]
class GradWeightKernel final : public PlannedKernel {
 public:
  GradWeightKernel(const ConvolutionProblem& problem, bool bias, CudaDevice& device)
      : PlannedKernel(device, device.planner().plan(convolution_grad_weight_graph(problem.shape))),
        problem_(problem),
        bias_(bias),
        rows_(problem.shape.batch * problem.shape.y[1] * problem.shape.y[2]) {
    if (problem_.packs()) filter_at_ = workspace_.add(problem_.shape.filter_bytes());
    if (bias_) sums_at_ = workspace_.add(sum_rows_workspace_bytes(rows_, problem_.filter.out));
  }

  void launch(const KernelArguments& a) override {
    const CudaStream stream = cuda_stream(a.stream);
    const DType dtype = problem_.shape.dtype;
    void* const filter = problem_.packs() ? at(a.workspace, filter_at_) : a.outputs[0];
    const Argument arguments[] = {{kX, a.inputs[0]}, {kDy, a.inputs[1]}, {kDw, filter}};
    run_plan(a, arguments);
    if (problem_.packs()) unpack_filter(problem_.filter, dtype, filter, a.outputs[0], stream);
    if (bias_) {
      sum_rows(rows_, problem_.filter.out, problem_.shape.y[0], dtype, a.inputs[1], output(a, 1),
               at(a.workspace, sums_at_), stream);
    }
  }

 private:
  ConvolutionProblem problem_;
  bool bias_;
  int64_t rows_;
  int64_t filter_at_ = 0, sums_at_ = 0;
};

std::unique_ptr<Kernel> make_convolution(const KernelRequest& request, CudaDevice& device) {
  const ConvolutionProblem problem = convolution_problem(request);
  if (problem.shape.batch == 0) return make_zero_kernel(request);
  const bool bias = request.attributes.as<Conv2dAttributes>().bias;
  return std::make_unique<ConvolutionKernel>(problem, bias, device);
}

std::unique_ptr<Kernel> make_grad_input(const KernelRequest& request, CudaDevice& device) {
  const ConvolutionProblem problem = convolution_problem(request);
  if (problem.shape.batch == 0) return make_zero_kernel(request);
  return std::make_unique<GradInputKernel>(problem, device);
}

std::unique_ptr<Kernel> make_grad_weight(const KernelRequest& request, CudaDevice& device) {
  const ConvolutionProblem problem = convolution_problem(request);
  if (problem.shape.batch == 0) return make_zero_kernel(request);
  const bool bias = request.attributes.as<Conv2dAttributes>().bias;
  return std::make_unique<GradWeightKernel>(problem, bias, device);
}

}  // namespace

void add_convolution_kernels(CudaKernelTable& table) {
  table.set("conv2d", make_convolution);
  table.set("conv2d_grad_input", make_grad_input);
  table.set("conv2d_grad_weight", make_grad_weight);
}

}  // namespace lockstep::cuda
