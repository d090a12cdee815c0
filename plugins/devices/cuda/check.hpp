// Turns the status of every call of the CUDA runtime and of cuDNN into an Error.
#pragma once

#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#include <string_view>

namespace lockstep::cuda {

// Throws Error{device} "CALL: what the status says (its name)" unless it is success. For what an
// earlier launch did wrong and this call only reports, the message says so.
void check(cudaError_t status, std::string_view call);
void check(cudnnStatus_t status, std::string_view call);

}  // namespace lockstep::cuda
