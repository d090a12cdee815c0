#include "device/cores.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace lockstep {
namespace {

// The cores that this process may run on; more than 1024 need a larger set than cpu_set_t.
int usable_cores() {
  for (int most = 1024; most <= (1 << 20); most *= 4) {
    cpu_set_t* const set = CPU_ALLOC(most);
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(most);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

int share_of_cores(const DeviceOptions& options) {
  const int ranks = std::max(1, options.local_size);
  return std::max(1, (usable_cores() + ranks - 1 - options.local_rank) / ranks);
}

}  // namespace lockstep
