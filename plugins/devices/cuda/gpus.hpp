// The GPUs of this host: whether there are any, what they are, and which one is a rank's.
#pragma once

#include <cstdint>
#include <string>

#include "device/device.hpp"
#include "plugin/registry.hpp"

namespace lockstep::cuda {

struct GpuCount {
  int count = 0;
  std::string unusable;  // why there are none, in one line
};
// Needs no driver and makes no context.
GpuCount count_gpus();

// What kernels and plans are made for.
struct GpuProperties {
  std::string name;      // "NVIDIA H100 80GB HBM3"
  int architecture = 0;  // 90 for sm_90
  int multiprocessors = 0;
  int64_t memory_bytes = 0;
  std::string uuid;  // "GPU-…"
};
GpuProperties gpu_properties(int gpu);
// From a device description in cuDNN's JSON form. Throws Error{device} that says what is missing.
GpuProperties described_properties(const std::string& description);

// The GPU of this rank, by its number on this host. A rank whose launcher shows it one GPU alone
// takes that. Throws Error{device} where there are more ranks than GPUs.
int gpu_of_rank(const DeviceOptions& options, int count);

// Throws Error{device} where this build has no code for the GPU.
void require_compiled_for(const GpuProperties& gpu);

// "13.0" of 13000
std::string cuda_version_text(int version);
// "9.19.0"
std::string cudnn_version_text();

// What `lockstep doctor` tells of GPUs.
DeviceFacts probe_gpus();

}  // namespace lockstep::cuda
