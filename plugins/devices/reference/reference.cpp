// The device `reference`: the oracle that other devices are compared with. Plain loops on one
// thread, to be read rather than to be fast.
#include "kernels.hpp"

namespace {
using namespace lockstep;

class ReferenceDevice final : public HostDevice {
 public:
  ReferenceDevice() {
    add_shared_kernels(kernels());
    reference::add_batch_norm_kernels(kernels());
    reference::add_batch_norm_parts_kernels(kernels());
    reference::add_convolution_kernels(kernels());
    reference::add_linear_kernels(kernels());
    reference::add_normalize_kernels(kernels());
    reference::add_pooling_kernels(kernels());
  }
  std::string_view name() const override { return "reference"; }
  std::string description() const override { return "reference: plain loops, 1 thread"; }
};

}  // namespace

LS_PLUGIN(reference, registry) {
  registry.device(
      "reference", [](const DeviceOptions&) { return std::make_unique<ReferenceDevice>(); },
      "plain loops on one thread: slow, readable, what other devices are tested against");
}
