// What a device gets that has no wishes of its own.
#include "device/device.hpp"

namespace lockstep {

LayoutChoice Device::choose_layouts(const KernelRequest& request, std::span<const Layout>) const {
  return {std::vector<Layout>(request.inputs.size(), Layout::plain),
          std::vector<Layout>(request.outputs.size(), Layout::plain)};
}

}  // namespace lockstep
