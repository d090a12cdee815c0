// What the device supports, and how its tensors lie: images as nhwc8c, everything else plain.
#include "device.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cuda {
namespace {

bool has_batch_norm(const BatchNormAttributes& a) {
  return a.relu == a.mask && (a.relu || !a.residual);
}

}  // namespace

bool CudaDevice::supports(std::string_view op, const Attributes& attributes, DType dtype) const {
  if (kernels_.find(op) == nullptr) return false;
  if (dtype != DType::f32 && !is_half(dtype)) return false;
  constexpr int kFirstWithBf16 = 80;
  if (dtype == DType::bf16 && gpu_.architecture < kFirstWithBf16) return false;
  if ((op == "batch_norm" || op == "batch_norm_grad") && !attributes.empty()) {
    return has_batch_norm(attributes.as<BatchNormAttributes>());
  }
  return true;
}

LayoutChoice CudaDevice::choose_layouts(const KernelRequest& request,
                                        std::span<const Layout> available) const {
  LayoutChoice choice = own_layouts(request, available);
  if (!request.op.starts_with("conv2d")) return choice;
  // Filters have four dimensions, as images have.
  (request.op == "conv2d_grad_weight" ? choice.outputs[0] : choice.inputs[1]) = Layout::plain;
  return choice;
}

}  // namespace lockstep::cuda
