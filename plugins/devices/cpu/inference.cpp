// Layers for evaluation: batch norm is folded into the weights, which are packed for oneDNN once
// per change; shortcut and ReLU are done by the convolution on its way out.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cpu {
namespace {

// What a layer does with its constant inputs.
struct FoldedLayer {
  int64_t channels = 0;  // of the output
  int64_t weights_per_channel = 0;
  size_t bias = 0;        // numbers of the inputs; 0: none
  size_t batch_norm = 0;  // of bn_w, bn_b, bn_mean and bn_var follow
  double epsilon = 0;
  int64_t residual_bytes = 0;  // of input 2; 0: none

  bool has_bias() const { return bias != 0 || batch_norm != 0; }
  int64_t folded_bytes() const {
    constexpr int64_t kLine = 64;
    if (batch_norm == 0) return 0;
    return (channels * weights_per_channel * size_of(DType::f32) + kLine - 1) / kLine * kLine;
  }
};

class InferenceKernel final : public Kernel {
 public:
  InferenceKernel(const FoldedLayer& layer, onednn::PackedOperation operation, CpuDevice& device)
      : layer_(layer), operation_(std::move(operation)), device_(device) {}

  int64_t workspace_bytes() const override {
    return std::max(operation_.run->workspace_bytes(),
                    layer_.folded_bytes() + operation_.pack->workspace_bytes());
  }
  int64_t constant_bytes() const override {
    return operation_.bias_offset + (layer_.has_bias() ? layer_.channels * size_of(DType::f32) : 0);
  }
  std::string_view implementation() const override { return operation_.run->implementation(); }

  // The workspace holds the folded weights, plain, and then what packing needs.
  void update_constants(const KernelArguments& arguments) override {
    device_.use_threads();
    const void* weight = arguments.inputs[1];
    auto* const workspace = static_cast<std::byte*>(arguments.workspace);
    auto* const bias = reinterpret_cast<float*>(static_cast<std::byte*>(arguments.constants) +
                                                operation_.bias_offset);
    if (layer_.batch_norm != 0) {
      fold(arguments, reinterpret_cast<float*>(workspace), bias);
      weight = workspace;
    } else if (layer_.bias != 0) {
      std::copy_n(input(arguments, layer_.bias), layer_.channels, bias);
    }
    operation_.pack->run(
        {{&weight, 1}, {}, workspace + layer_.folded_bytes(), arguments.constants});
  }

  void launch(const KernelArguments& arguments) override {
    device_.use_threads();
    if (layer_.residual_bytes > 0 && arguments.inputs[2] != arguments.outputs[0]) {
      copy_residual(arguments);
    }
    operation_.run->run(
        {arguments.inputs, arguments.outputs, arguments.workspace, arguments.constants});
  }

 private:
  // w * s and (b - mean) * s + bn_b, where s = bn_w / sqrt(variance + epsilon).
  void fold(const KernelArguments& arguments, float* weight, float* bias) {
    const float* const w = input(arguments, 1);
    const float* const b = layer_.bias == 0 ? nullptr : input(arguments, layer_.bias);
    const float* const bn_w = input(arguments, layer_.batch_norm);
    const float* const bn_b = input(arguments, layer_.batch_norm + 1);
    const float* const mean = input(arguments, layer_.batch_norm + 2);
    const float* const variance = input(arguments, layer_.batch_norm + 3);
    const int64_t count = layer_.weights_per_channel;
    device_.parallel_for(layer_.channels, 1, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        const double scale = bn_w[o] / std::sqrt(variance[o] + layer_.epsilon);
        const double before = b == nullptr ? 0.0 : b[o];
        bias[o] = static_cast<float>((before - mean[o]) * scale + bn_b[o]);
        for (int64_t i = o * count; i < (o + 1) * count; ++i) {
          weight[i] = static_cast<float>(w[i] * scale);
        }
      }
    });
  }

  // Where the planner could not place the output over the residual.
  void copy_residual(const KernelArguments& arguments) {
    const auto* const from = input<std::byte>(arguments, 2);
    auto* const to = output<std::byte>(arguments, 0);
    device_.parallel_for(layer_.residual_bytes, 1 << 16, [=](int64_t begin, int64_t end) {
      std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
    });
  }

  FoldedLayer layer_;
  onednn::PackedOperation operation_;
  CpuDevice& device_;
};

// x, w, [residual], [b], [bn_w, bn_b, bn_mean, bn_var] -> y
std::unique_ptr<Kernel> make_conv2d_inference(const KernelRequest& request, HostDevice& device) {
  const onednn::ConvolutionShape shape = convolution_problem(request).shape;
  if (shape.batch == 0) return make_zero_kernel(request);
  const auto& a = request.attributes.as<Conv2dAttributes>();
  const TensorType& y = request.outputs[0];
  const Shape& w = request.inputs[1].shape;
  FoldedLayer layer{.channels = w[0], .weights_per_channel = w.numel() / w[0]};
  size_t next = 2;
  if (a.residual) layer.residual_bytes = y.bytes(), ++next;
  if (a.bias) layer.bias = next++;
  if (a.batch_norm) layer.batch_norm = next, layer.epsilon = a.epsilon;
  return std::make_unique<InferenceKernel>(
      layer, onednn::packed_convolution(shape, request.inputs[0].layout, y.layout), as_cpu(device));
}

// x, w, [b] -> y
std::unique_ptr<Kernel> make_linear_inference(const KernelRequest& request, HostDevice& device) {
  require_plain(request);
  const auto& a = request.attributes.as<LinearAttributes>();
  const Shape &x = request.inputs[0].shape, &w = request.inputs[1].shape;
  if (x[0] == 0) return make_zero_kernel(request);
  const FoldedLayer layer{.channels = w[0], .bias = a.bias ? size_t{2} : 0};
  return std::make_unique<InferenceKernel>(layer,
                                           onednn::packed_linear({.dtype = request.inputs[0].dtype,
                                                                  .batch = x[0],
                                                                  .in = x[1],
                                                                  .out = w[0],
                                                                  .bias = a.bias,
                                                                  .relu = a.relu}),
                                           as_cpu(device));
}

}  // namespace

void add_inference_kernels(HostKernelTable& table) {
  table.set("conv2d_inference", make_conv2d_inference);
  table.set("linear_inference", make_linear_inference);
}

}  // namespace lockstep::cpu
