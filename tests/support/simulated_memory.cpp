#include "support/simulated_memory.hpp"

#include <sys/mman.h>

#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace lockstep::testing {
namespace {

constexpr int64_t kReserved = int64_t{1} << 32;  // addresses; memory is used as it is touched

std::byte* reserve(int protection) {
  void* const memory = mmap(nullptr, static_cast<size_t>(kReserved), protection,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail(Failure::device, "device simulated: no addresses left");
  return static_cast<std::byte*>(memory);
}

}  // namespace

SimulatedMemory::SimulatedMemory()
    : addresses_(reserve(PROT_NONE)), memory_(reserve(PROT_READ | PROT_WRITE)) {}

SimulatedMemory::~SimulatedMemory() {
  munmap(addresses_, static_cast<size_t>(kReserved));
  munmap(memory_, static_cast<size_t>(kReserved));
}

void* SimulatedMemory::allocate(int64_t bytes) {
  constexpr int64_t kAlignment = 64;
  const int64_t rounded = (bytes + 2 * kAlignment) / kAlignment * kAlignment;
  if (used_ + rounded > kReserved) fail(Failure::device, "device simulated: no memory left");
  const int64_t offset = std::exchange(used_, used_ + rounded);
  allocations_[offset] = {bytes, true};
  std::memset(memory_ + offset, kPoison, static_cast<size_t>(bytes));
  return addresses_ + offset;
}

bool SimulatedMemory::release(void* address) {
  const auto found = allocations_.find(static_cast<std::byte*>(address) - addresses_);
  if (found == allocations_.end() || !found->second.is_live) return false;
  found->second.is_live = false;
  std::memset(memory_ + found->first, kPoison, static_cast<size_t>(found->second.bytes));
  return true;
}

SimulatedMemory::State SimulatedMemory::state(const void* address) const {
  const int64_t offset = static_cast<const std::byte*>(address) - addresses_;
  if (offset < 0 || offset >= used_) return State::foreign;
  const auto after = allocations_.upper_bound(offset);
  return std::prev(after)->second.is_live ? State::live : State::released;
}

}  // namespace lockstep::testing
