// How much memory this host still has.
#pragma once

#include <cstdint>

namespace lockstep {

// Bytes that this process could still get: what the kernel calls available and what can be swapped
// out, within the limits of the control group (version 2) and of the process. -1: not known.
int64_t free_host_bytes();

}  // namespace lockstep
