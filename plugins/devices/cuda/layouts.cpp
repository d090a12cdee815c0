// What the device supports, and how its tensors lie: images as nhwc8c, everything else plain.
#include <algorithm>
#include <iterator>

#include "device.hpp"
#include "ops/attributes.hpp"

namespace lockstep::cuda {
namespace {

// Ops that take images and other tensors alike, in any layout that all of them have.
constexpr std::string_view kAnyLayout[] = {"add", "scale", "cast", "dropout"};

bool takes_any_layout(const KernelRequest& request) {
  return request.definition.pointwise.forward != nullptr ||
         std::find(std::begin(kAnyLayout), std::end(kAnyLayout), request.op) !=
             std::end(kAnyLayout);
}

LayoutChoice same_for_all(const KernelRequest& request, Layout layout) {
  LayoutChoice choice;
  for (const TensorType& type : request.inputs) {
    choice.inputs.push_back(type.shape.rank() == 4 ? layout : Layout::plain);
  }
  for (const TensorType& type : request.outputs) {
    choice.outputs.push_back(type.shape.rank() == 4 ? layout : Layout::plain);
  }
  return choice;
}

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
  if (request.op == "reshape") return Device::choose_layouts(request, available);
  if (takes_any_layout(request)) {
    const bool image =
        std::find(available.begin(), available.end(), Layout::nhwc8c) != available.end();
    return same_for_all(request, image ? Layout::nhwc8c : Layout::plain);
  }
  LayoutChoice choice = same_for_all(request, Layout::nhwc8c);
  if (request.op == "normalize") choice.inputs[0] = Layout::plain;  // as the loader makes batches
  if (!request.op.starts_with("conv2d")) return choice;
  if (request.op == "conv2d_grad_weight") {
    choice.outputs[0] = Layout::plain;
  } else {
    choice.inputs[1] = Layout::plain;
  }
  return choice;
}

}  // namespace lockstep::cuda
