// A host device with the shared kernels alone, which divides work as one with so many threads
// would.
#pragma once

#include "device/host_device.hpp"

namespace lockstep::test {

class TestHostDevice final : public HostDevice {
 public:
  explicit TestHostDevice(int threads) : threads_(threads) { add_shared_kernels(kernels()); }
  std::string_view name() const override { return "test"; }
  std::string description() const override { return "test"; }
  int threads() const override { return threads_; }

 private:
  int threads_;
};

}  // namespace lockstep::test
