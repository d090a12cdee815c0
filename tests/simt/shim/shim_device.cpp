#include "shim_device.hpp"

#include "device/simt.hpp"

namespace lockstep::cuda {

void* ShimDevice::allocate(int64_t bytes) { return simt::allocate(bytes); }
void ShimDevice::release(void* memory) noexcept { simt::release(memory); }

bool ShimDevice::supports(std::string_view op, const Attributes&, DType) const {
  return table_.find(op) != nullptr;
}

std::unique_ptr<Kernel> ShimDevice::prepare(const KernelRequest& request) {
  const auto factory = table_.find(request.op);
  if (factory == nullptr) fail(Failure::device, "device shim: no own kernel for ", request.op);
  return factory(request, cuda_);
}

}  // namespace lockstep::cuda
