// Where a kernel comes from.
#pragma once

#include <memory>

#include "device/device.hpp"

namespace lockstep {

class Registry;

// The kernel that a plugin brings for the op on this device, else the device's own.
std::unique_ptr<Kernel> prepare_kernel(const KernelRequest& request, const Registry& registry,
                                       Device& device);

}  // namespace lockstep
