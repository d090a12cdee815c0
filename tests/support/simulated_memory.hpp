// Memory of a device that the host must not touch: its addresses are reserved but are no memory, so
// that following one crashes. What is behind them is for who runs on the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace lockstep::testing {

class SimulatedMemory {
 public:
  SimulatedMemory();
  ~SimulatedMemory();
  SimulatedMemory(const SimulatedMemory&) = delete;
  SimulatedMemory& operator=(const SimulatedMemory&) = delete;

  static constexpr int kPoison = 0xff;  // NaN as float and double

  // Poisoned. No address is given twice.
  void* allocate(int64_t bytes);
  // Poisons it; false: it was not allocated.
  bool release(void* address);

  enum class State : uint8_t { foreign, released, live };
  State state(const void* address) const;
  void* behind(const void* address) const {
    return memory_ + (static_cast<const std::byte*>(address) - addresses_);
  }

 private:
  struct Allocation {
    int64_t bytes;
    bool is_live;
  };

  std::byte* addresses_;
  std::byte* memory_;
  int64_t used_ = 0;
  std::map<int64_t, Allocation> allocations_;  // by offset
};

}  // namespace lockstep::testing
