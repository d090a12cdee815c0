// Device memory that outlives a step: parameters, gradients, optimizer slots, running statistics,
// the step block.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "device/device.hpp"
#include "plan/parameters.hpp"
#include "plan/step_block.hpp"

namespace lockstep {

// A device allocation that frees itself.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(Device& device, int64_t bytes);  // zeroed
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  std::byte* data() const { return data_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }
  int64_t bytes() const { return bytes_; }

 private:
  Device* device_ = nullptr;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Host memory of the device's choice (see Device::allocate_host) that frees itself.
class HostMemory {
 public:
  HostMemory() = default;
  HostMemory(Device& device, int64_t bytes)
      : device_(&device),
        data_(static_cast<std::byte*>(device.allocate_host(bytes))),
        bytes_(bytes) {}
  ~HostMemory() {
    if (data_ != nullptr) device_->release_host(data_);
  }
  HostMemory(HostMemory&& other) noexcept { *this = std::move(other); }
  HostMemory& operator=(HostMemory&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  Device* device_ = nullptr;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

struct InitOptions {
  uint64_t seed = 1;
  bool normal = false;  // init.scheme "normal": weights N(0, std), biases 0; else as each parameter
                        // says ("he")
  double std = 0.01;
};

// How many arenas the tree of partial sums over so many shards takes: one per level.
int sum_levels(int64_t shards);

struct State {
  // `shards`: of a step on this rank; several need arenas to sum gradients in. Evaluation: no
  // gradients, no slots.
  State(Device& device, ParameterLayout layout, int optimizer_slots, int64_t shards, bool training);

  // Draws every parameter from (seed, its name), so that values do not depend on order or ranks.
  // Buffers and slots too get their initial values.
  void initialize(const InitOptions& options);

  // Copies of one tensor between the host (plain, row-major) and its arena.
  std::vector<float> read(const DeviceMemory& arena, int64_t offset, int64_t count) const;
  void write(DeviceMemory& arena, int64_t offset, const std::vector<float>& values);

  // Who changes parameters or buffers in another way says so: what evaluation plans keep of them
  // (see Kernel::update_constants) is then made anew.
  void changed() { ++version; }

  Device& device;
  ParameterLayout layout;
  DeviceMemory parameters;
  DeviceMemory gradients;  // see ParameterLayout
  DeviceMemory buffers;
  std::vector<DeviceMemory> slots;       // one arena per slot, at the parameters' offsets
  std::vector<DeviceMemory> shard_sums;  // partial sums over shards, one per level of the tree
  DeviceMemory step;                     // a StepBlock
  int64_t version = 0;                   // of parameters and buffers
};

}  // namespace lockstep
