// The host's cores and a rank's share of them.
#pragma once

#include "device/device.hpp"

namespace lockstep {

// The cores that this process may run on, divided among the ranks of this host; the first ranks get
// what the division leaves. At least 1.
int share_of_cores(const DeviceOptions& options);

}  // namespace lockstep
