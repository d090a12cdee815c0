// What ranks tell each other in host memory before NCCL can join them.
#pragma once

#include <nccl.h>

#include <string>

#include "device/communicator.hpp"
#include "polling.hpp"

namespace lockstep::nccl {

// Throws Error{device} on all ranks where two have the same GPU, which NCCL does not allow; `gpu`
// is this rank's Device::unique_id(), and may be empty: not known. All ranks call it.
void require_own_gpus(Communicator& host, const Polling& polling, const std::string& gpu);

// Rank 0's new id, on all ranks. All ranks call it.
ncclUniqueId share_unique_id(Communicator& host, const Polling& polling);

}  // namespace lockstep::nccl
