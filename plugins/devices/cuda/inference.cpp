// Convolutions and linear layers of evaluation: batch norm is folded into their weights and bias,
// and filters are packed, once per change of the weights.
#include <cuda_runtime_api.h>

#include "check.hpp"
#include "cudnn_kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cuda {
namespace {

// Numbers of the inputs; 0: none.
struct InputNumbers {
  size_t residual = 0;
  size_t bias = 0;
  size_t batch_norm = 0;  // of bn_w; bn_b, bn_mean and bn_var follow

  explicit InputNumbers(const Conv2dAttributes& a) {
    size_t next = 2;
    if (a.residual) residual = next++;
    if (a.bias) bias = next++;
    if (a.batch_norm) batch_norm = next;
  }
};

Followers followers_of(const Conv2dAttributes& a) {
  return {.bias = a.bias || a.batch_norm, .residual = a.residual, .relu = a.relu};
}

// x, w, [residual], [b], [bn_w, bn_b, bn_mean, bn_var] -> y; constants: the filter, the bias
class ConvolutionInferenceKernel final : public Kernel {
 public:
  ConvolutionInferenceKernel(const ConvolutionProblem& problem, const Conv2dAttributes& attributes,
                             DType w_dtype, CudaDevice& device)
      : problem_(problem),
        inputs_(attributes),
        epsilon_(attributes.epsilon),
        w_dtype_(w_dtype),
        product_(device, convolution_graphs(problem.shape), followers_of(attributes),
                 problem.shape.dtype, convolution_epilogue(problem)),
        filter_at_(constants_.add(problem_.shape.filter_bytes())),
        bias_at_(constants_.add(problem_.filter.stored_out * size_of(DType::f32))) {}

  int64_t workspace_bytes() const override { return product_.workspace_bytes(); }
  int64_t constant_bytes() const override { return constants_.bytes(); }
  std::string_view implementation() const override { return product_.implementation(); }

  void update_constants(const KernelArguments& a) override {
    const CudaStream stream = cuda_stream(a.stream);
    check(cudaMemsetAsync(a.constants, 0, static_cast<size_t>(constants_.bytes()), stream),
          "cudaMemsetAsync");
    const auto vector = [&](size_t number, size_t next) -> const float* {
      return number == 0 ? nullptr : input(a, number + next);
    };
    const FoldedBatchNorm folded{.b = vector(inputs_.bias, 0),
                                 .weight = vector(inputs_.batch_norm, 0),
                                 .bias = vector(inputs_.batch_norm, 1),
                                 .mean = vector(inputs_.batch_norm, 2),
                                 .variance = vector(inputs_.batch_norm, 3),
                                 .epsilon = epsilon_};
    fold_filter(problem_.filter, problem_.shape.dtype, a.inputs[1], w_dtype_, folded,
                at(a.constants, filter_at_), bias_of(a), stream);
  }

  void launch(const KernelArguments& a) override {
    product_.run({.x = a.inputs[0],
                  .w = at(a.constants, filter_at_),
                  .bias = bias_of(a),
                  .residual = inputs_.residual == 0 ? nullptr : a.inputs[inputs_.residual],
                  .y = a.outputs[0],
                  .workspace = a.workspace},
                 cuda_stream(a.stream));
  }

 private:
  float* bias_of(const KernelArguments& a) const {
    return static_cast<float*>(at(a.constants, bias_at_));
  }

  ConvolutionProblem problem_;
  InputNumbers inputs_;
  double epsilon_;
  DType w_dtype_;
  FollowedProduct product_;
  WorkspaceLayout constants_;
  int64_t filter_at_, bias_at_;
};

// x, w, [b] -> y; constants: w in x's type, where it has another
class LinearInferenceKernel final : public Kernel {
 public:
  LinearInferenceKernel(const LinearShape& shape, const LinearAttributes& attributes, DType w_dtype,
                        CudaDevice& device)
      : shape_(shape),
        bias_(attributes.bias),
        w_dtype_(w_dtype),
        product_(device, linear_graphs(shape),
                 {.bias = attributes.bias, .residual = false, .relu = attributes.relu}, shape.dtype,
                 linear_epilogue(shape)) {}

  int64_t workspace_bytes() const override { return product_.workspace_bytes(); }
  int64_t constant_bytes() const override {
    return converts() ? weights() * size_of(shape_.dtype) : 0;
  }
  std::string_view implementation() const override { return product_.implementation(); }

  void update_constants(const KernelArguments& a) override {
    if (!converts()) return;
    convert(a.inputs[1], w_dtype_, a.constants, shape_.dtype, weights(), cuda_stream(a.stream));
  }

  void launch(const KernelArguments& a) override {
    product_.run({.x = a.inputs[0],
                  .w = converts() ? a.constants : a.inputs[1],
                  .bias = bias_ ? input(a, 2) : nullptr,
                  .residual = nullptr,
                  .y = a.outputs[0],
                  .workspace = a.workspace},
                 cuda_stream(a.stream));
  }

 private:
  bool converts() const { return w_dtype_ != shape_.dtype; }
  int64_t weights() const { return shape_.in * shape_.out; }

  LinearShape shape_;
  bool bias_;
  DType w_dtype_;
  FollowedProduct product_;
};

std::unique_ptr<Kernel> make_conv2d_inference(const KernelRequest& request, CudaDevice& device) {
  const ConvolutionProblem problem = convolution_problem(request);
  if (problem.shape.batch == 0) return make_zero_kernel(request);
  return std::make_unique<ConvolutionInferenceKernel>(
      problem, request.attributes.as<Conv2dAttributes>(), request.inputs[1].dtype, device);
}

std::unique_ptr<Kernel> make_linear_inference(const KernelRequest& request, CudaDevice& device) {
  const LinearShape shape = linear_shape(request.inputs[0], request.outputs[0]);
  if (shape.batch == 0) return make_zero_kernel(request);
  return std::make_unique<LinearInferenceKernel>(shape, request.attributes.as<LinearAttributes>(),
                                                 request.inputs[1].dtype, device);
}

}  // namespace

void add_inference_kernels(CudaKernelTable& table) {
  table.set("conv2d_inference", make_conv2d_inference);
  table.set("linear_inference", make_linear_inference);
}

}  // namespace lockstep::cuda
