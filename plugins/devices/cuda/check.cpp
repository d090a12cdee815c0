#include "check.hpp"

#include <array>
#include <string>

#include "base/error.hpp"

namespace lockstep::cuda {
namespace {

// Errors of a kernel, which a later call reports: kernels run while the host goes on.
bool is_of_a_launch(cudaError_t status) {
  return status == cudaErrorIllegalAddress || status == cudaErrorLaunchFailure ||
         status == cudaErrorMisalignedAddress || status == cudaErrorIllegalInstruction ||
         status == cudaErrorInvalidAddressSpace || status == cudaErrorInvalidPc ||
         status == cudaErrorAssert || status == cudaErrorHardwareStackError;
}

}  // namespace

void check(cudaError_t status, std::string_view call) {
  if (status == cudaSuccess) return;
  const char* hint = is_of_a_launch(status)
                         ? "; an earlier launch did it: CUDA_LAUNCH_BLOCKING=1 names the one"
                         : "";
  fail(Failure::device, call, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ')',
       hint);
}

void check(cudnnStatus_t status, std::string_view call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 1024> detail{};
  cudnnGetLastErrorString(detail.data(), detail.size());
  std::string text = detail.data();
  for (char& c : text) c = c == '\n' ? ' ' : c;
  fail(Failure::device, call, ": ", cudnnGetErrorString(status), text.empty() ? "" : ", ", text);
}

}  // namespace lockstep::cuda
