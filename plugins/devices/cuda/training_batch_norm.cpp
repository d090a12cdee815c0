// Batch norm in training, with what is fused into it, and its gradient.
//
// cuDNN keeps 1 / sqrt(variance + epsilon) where the framework has the variance, and wants as many
// values per channel as memory has channels; both are put right around the plan, in workspace.
#include <cuda_runtime_api.h>

#include "base/error.hpp"
#include "check.hpp"
#include "cudnn_kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cuda {
namespace {

// The channels there are, and those in memory.
struct Channels {
  int64_t count;
  int64_t stored;

  bool padded() const { return count != stored; }
  int64_t bytes() const { return stored * size_of(DType::f32); }
};

BatchNormShape batch_norm_shape(const KernelRequest& request) {
  require_channels_last(request);
  const TensorType& x = request.inputs[0];
  const auto epsilon = request.attributes.as<BatchNormAttributes>().epsilon;
  return {.dtype = x.dtype,
          .x = {x.shape[0], stored_channels(x.shape[1]), x.shape[2], x.shape[3]},
          .epsilon = static_cast<float>(epsilon)};
}

// Throws Error{device} for what CudaDevice::supports() does not have.
BatchNormFusion batch_norm_fusion(const KernelRequest& request) {
  const auto& a = request.attributes.as<BatchNormAttributes>();
  if (a.relu != a.mask || (a.residual && !a.relu)) {
    fail(Failure::device, "was asked for relu=", a.relu, " mask=", a.mask, " residual=", a.residual,
         "; cuda has relu with its mask, and a residual before that");
  }
  return {.relu = a.relu, .residual = a.residual};
}

void copy_floats(const void* from, void* to, int64_t count, CudaStream stream) {
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(count) * sizeof(float),
                        cudaMemcpyDeviceToDevice, stream),
        "cudaMemcpyAsync");
}

// Vectors of a launch with a value per channel in memory: the launch's own where there are as many,
// else padded copies in the workspace.
class ChannelVectors {
 public:
  ChannelVectors(const Channels& channels, WorkspaceLayout& workspace, int vectors)
      : channels_(channels) {
    for (int i = 0; i < vectors; ++i) places_.push_back(workspace.add(channels.bytes()));
  }

  void* place(int vector, void* workspace) const {
    return at(workspace, places_[static_cast<size_t>(vector)]);
  }
  const void* in(int vector, const void* memory, void* workspace, CudaStream stream) const {
    if (!channels_.padded()) return memory;
    auto* const padded = static_cast<float*>(place(vector, workspace));
    pad_floats(static_cast<const float*>(memory), channels_.count, 0, padded, channels_.stored,
               stream);
    return padded;
  }
  void* out(int vector, void* memory, void* workspace) const {
    return channels_.padded() ? place(vector, workspace) : memory;
  }
  // After the plan: what out() gave goes to where it belongs.
  void bring(int vector, void* memory, void* workspace, CudaStream stream) const {
    if (channels_.padded()) copy_floats(place(vector, workspace), memory, channels_.count, stream);
  }

 private:
  Channels channels_;
  std::vector<int64_t> places_;
};

// x, w, b, [residual] -> y, mean, variance, [mask]
class BatchNormKernel final : public PlannedKernel {
 public:
  BatchNormKernel(const BatchNormShape& shape, const BatchNormFusion& fusion, int64_t channels,
                  double epsilon, CudaDevice& device)
      : PlannedKernel(device, device.planner().plan(batch_norm_graph(shape, fusion))),
        fusion_(fusion),
        channels_{channels, shape.x[1]},
        epsilon_(epsilon),
        epsilon_value_(shape.epsilon),
        vectors_(channels_, workspace_, kVectors) {}

  void launch(const KernelArguments& a) override {
    const CudaStream stream = cuda_stream(a.stream);
    void* const ws = a.workspace;
    auto* const inv_std = static_cast<float*>(vectors_.place(kInverse, ws));
    std::array<Argument, 10> arguments{{{kX, a.inputs[0]},
                                        {kScale, vectors_.in(kWeight, a.inputs[1], ws, stream)},
                                        {kBias, vectors_.in(kShift, a.inputs[2], ws, stream)},
                                        {kEpsilon, &epsilon_value_},
                                        {kY, a.outputs[0]},
                                        {kMean, vectors_.out(kMoment, a.outputs[1], ws)},
                                        {kInvStd, inv_std}}};
    size_t count = 7;
    if (fusion_.residual) arguments[count++] = {kResidual, a.inputs[3]};
    if (fusion_.relu) arguments[count++] = {kMask, a.outputs[3]};
    if (fusion_.relu) arguments[count++] = {kZero, &kZeroValue};
    run_plan(a, std::span(arguments).first(count));
    vectors_.bring(kMoment, a.outputs[1], ws, stream);
    variance_of_inv_std(inv_std, channels_.count, epsilon_, output(a, 2), stream);
  }

 private:
  enum Vector { kInverse, kWeight, kShift, kMoment, kVectors };
  static constexpr float kZeroValue = 0;

  BatchNormFusion fusion_;
  Channels channels_;
  double epsilon_;
  float epsilon_value_;
  ChannelVectors vectors_;
};

// x, dy, mean, variance, w, [mask] -> dx, dw, db, [dresidual]
class BatchNormGradKernel final : public PlannedKernel {
 public:
  BatchNormGradKernel(const BatchNormShape& shape, const BatchNormFusion& fusion, int64_t channels,
                      double epsilon, CudaDevice& device)
      : PlannedKernel(device, device.planner().plan(batch_norm_grad_graph(shape, fusion))),
        fusion_(fusion),
        channels_{channels, shape.x[1]},
        epsilon_(epsilon),
        vectors_(channels_, workspace_, kVectors) {}

  void launch(const KernelArguments& a) override {
    const CudaStream stream = cuda_stream(a.stream);
    void* const ws = a.workspace;
    auto* const inv_std = static_cast<float*>(vectors_.place(kInverse, ws));
    if (channels_.padded()) {  // 0, not NaN, is what a padded channel's gradient is multiplied by
      check(cudaMemsetAsync(inv_std, 0, static_cast<size_t>(channels_.bytes()), stream),
            "cudaMemsetAsync");
    }
    inv_std_of_variance(input(a, 3), channels_.count, epsilon_, inv_std, stream);
    std::array<Argument, 10> arguments{{{kX, a.inputs[0]},
                                        {kDy, a.inputs[1]},
                                        {kMean, vectors_.in(kMoment, a.inputs[2], ws, stream)},
                                        {kInvStd, inv_std},
                                        {kScale, vectors_.in(kWeight, a.inputs[4], ws, stream)},
                                        {kDx, a.outputs[0]},
                                        {kDScale, vectors_.out(kDWeight, a.outputs[1], ws)},
                                        {kDBias, vectors_.out(kDShift, a.outputs[2], ws)}}};
    size_t count = 8;
    if (fusion_.relu) arguments[count++] = {kMask, a.inputs[5]};
    if (fusion_.residual) arguments[count++] = {kDResidual, a.outputs[3]};
    run_plan(a, std::span(arguments).first(count));
    vectors_.bring(kDWeight, a.outputs[1], ws, stream);
    vectors_.bring(kDShift, a.outputs[2], ws, stream);
  }

 private:
  enum Vector { kInverse, kMoment, kWeight, kDWeight, kDShift, kVectors };

  BatchNormFusion fusion_;
  Channels channels_;
  double epsilon_;
  ChannelVectors vectors_;
};

template <class K>
std::unique_ptr<Kernel> make_batch_norm_kernel(const KernelRequest& request, CudaDevice& device) {
  const BatchNormShape shape = batch_norm_shape(request);
  if (shape.x[0] == 0) return make_zero_kernel(request);
  return std::make_unique<K>(shape, batch_norm_fusion(request), request.inputs[0].shape[1],
                             request.attributes.as<BatchNormAttributes>().epsilon, device);
}

}  // namespace

void add_training_batch_norm_kernels(CudaKernelTable& table) {
  table.set("batch_norm", make_batch_norm_kernel<BatchNormKernel>);
  table.set("batch_norm_grad", make_batch_norm_kernel<BatchNormGradKernel>);
}

}  // namespace lockstep::cuda
