// A device on host memory whose kernels are the own kernels of the cuda device, run by fibers.
#pragma once

#include "device/host_device.hpp"
#include "kernels.hpp"

namespace lockstep::cuda {

// What the factories of own kernels are given, of which they use nothing.
class CudaDevice {};

class ShimDevice final : public HostDevice {
 public:
  ShimDevice() { add_own_kernels(table_); }

  std::string_view name() const override { return "shim"; }
  std::string description() const override { return "own kernels of the cuda device as host code"; }
  // Exactly as many bytes, so that AddressSanitizer sees what is read behind them.
  void* allocate(int64_t bytes) override;
  void release(void* memory) noexcept override;

  bool supports(std::string_view op, const Attributes& attributes, DType dtype) const override;
  LayoutChoice choose_layouts(const KernelRequest& request,
                              std::span<const Layout> available) const override {
    return own_layouts(request, available);
  }
  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override;

 private:
  CudaKernelTable table_;
  CudaDevice cuda_;
};

}  // namespace lockstep::cuda
