// The ops that cuDNN computes, as kernels: factories and what they share.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "device.hpp"
#include "graphs.hpp"
#include "planner.hpp"

namespace lockstep::cuda {

void add_convolution_kernels(CudaKernelTable& table);          // conv2d and its gradients
void add_linear_kernels(CudaKernelTable& table);               // linear and its gradients
void add_training_batch_norm_kernels(CudaKernelTable& table);  // batch_norm, batch_norm_grad
void add_inference_kernels(CudaKernelTable& table);            // conv2d_inference, linear_inference
void add_cudnn_kernels(CudaKernelTable& table);                // all of these

// The channels that memory has.
constexpr int64_t stored_channels(int64_t channels) { return (channels + 7) / 8 * 8; }

// Throws Error{device} unless all images among inputs and outputs, but for filters, lie as
// Layout::nhwc8c.
void require_channels_last(const KernelRequest& request);

// A convolution as cuDNN is asked for it, and its filter's two forms.
struct ConvolutionProblem {
  ConvolutionShape shape;
  FilterShape filter;

  // Whether KRSC differs in memory from the framework's (O, C / groups, kh, kw).
  bool packs() const;
};
// Of conv2d, its gradients and conv2d_inference.
ConvolutionProblem convolution_problem(const KernelRequest& request);

// x (N, K), y (N, O)
LinearShape linear_shape(const TensorType& x, const TensorType& y);

// What add_epilogue() is told of y; its pointers are of the launch.
Epilogue convolution_epilogue(const ConvolutionProblem& problem);
Epilogue linear_epilogue(const LinearShape& shape);

// The plan of the first of these graphs, which say the same, that has one. Throws Error{device}
// that says why the first has none.
std::shared_ptr<const ExecutionPlan> plan_one_of(CudaDevice& device,
                                                 std::span<const OperationGraph> graphs);

// A kernel that fills its outputs with zeros: for gradients of a batch without samples.
std::unique_ptr<Kernel> make_zero_kernel(const KernelRequest& request);

// Parts of a launch's workspace, one behind the other.
class WorkspaceLayout {
 public:
  // Returns the offset of the next part.
  int64_t add(int64_t bytes) {
    constexpr int64_t kAlignment = 256;
    const int64_t offset = bytes_;
    bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

inline void* at(void* memory, int64_t offset) { return static_cast<std::byte*>(memory) + offset; }

// A kernel around one plan. What it needs before and behind lies in the same workspace.
class PlannedKernel : public Kernel {
 public:
  int64_t workspace_bytes() const final { return workspace_.bytes(); }
  std::string_view implementation() const final { return runner_.plan().implementation(); }

 protected:
  PlannedKernel(CudaDevice& device, std::shared_ptr<const ExecutionPlan> plan)
      : handle_(device.handle()),
        runner_(std::move(plan)),
        plan_at_(workspace_.add(runner_.plan().workspace_bytes())) {}

  void run_plan(const KernelArguments& a, std::span<const Argument> arguments) {
    runner_.run(handle_, cuda_stream(a.stream), arguments, at(a.workspace, plan_at_));
  }

  WorkspaceLayout workspace_;

 private:
  cudnnHandle_t handle_;
  Runner runner_;
  int64_t plan_at_;
};

// A product and what follows it: in one graph where cuDNN has an engine for that, else the product
// alone and then add_epilogue().
class FollowedProduct {
 public:
  // The graphs that say the same, best first, for given followers.
  using MakeGraphs = std::function<std::vector<OperationGraph>(const Followers&)>;
  // The epilogue says how large y is.
  FollowedProduct(CudaDevice& device, const MakeGraphs& graphs, const Followers& followers,
                  DType dtype, const Epilogue& epilogue);

  int64_t workspace_bytes() const { return workspace_.bytes(); }
  const std::string& implementation() const { return implementation_; }

  struct Memory {
    const void* x;
    const void* w;
    const float* bias;     // as many as y has channels in memory
    const void* residual;  // may be y
    void* y;
    void* workspace;
  };
  void run(const Memory& memory, CudaStream stream);

 private:
  Followers followers_;
  DType dtype_;
  Epilogue epilogue_;
  bool fused_ = false;
  Runner runner_;
  cudnnHandle_t handle_ = nullptr;
  WorkspaceLayout workspace_;
  int64_t plan_at_ = 0;
  int64_t residual_at_ = 0;
  std::string implementation_;
};

FollowedProduct::MakeGraphs convolution_graphs(const ConvolutionShape& shape);
FollowedProduct::MakeGraphs linear_graphs(const LinearShape& shape);

}  // namespace lockstep::cuda
