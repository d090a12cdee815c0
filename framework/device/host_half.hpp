// Values of half precision on host memory: conversions of arrays, and any kernel of float32 made
// one of half.
#pragma once

#include <functional>

#include "device/host_device.hpp"

namespace lockstep {

// Convert `count` elements of f32, bf16 or f16, on the calling thread; the arrays do not overlap.
void convert_to_float(DType type, const void* source, float* destination, int64_t count);
void convert_from_float(const float* source, DType type, void* destination, int64_t count);

// Whether an input or output is bf16 or f16.
bool has_half(const KernelRequest& request);

// A kernel for a request with half values: each half input is converted to float32 in the
// workspace, the kernel that `prepare` makes for the same request in float32 runs, and each half
// output is rounded once. So an op has the accuracy of its float32 kernel, whatever its device.
using PrepareKernel = std::function<std::unique_ptr<Kernel>(const KernelRequest&)>;
std::unique_ptr<Kernel> make_kernel_through_float(const KernelRequest& request, HostDevice& device,
                                                  const PrepareKernel& prepare);

}  // namespace lockstep
