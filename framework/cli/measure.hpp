// What a folder's disk and the way between the ranks are worth, measured within a few seconds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "runtime/communication_thread.hpp"

namespace lockstep {

struct DiskSpeed {
  double write_bytes_per_second = 0;  // of one file, fsync included
  double fsync_seconds = 0;           // of 4 KiB, the median
};
// Writes at most 64 MiB, for at most two seconds or so, and removes them. Throws Error{checkpoint}
// where the folder cannot be written to.
DiskSpeed measure_disk(const std::filesystem::path& folder);

struct AllReduceSpeed {
  int64_t bytes = 0;
  double seconds = 0;  // the median on rank 0
  // What each rank sends and receives at least, 2 (n - 1) / n of the bytes, in this time.
  double bus_bytes_per_second = 0;
};
// Sums of 4 B to 64 MiB; about a second each at most, but for the slowest links. All ranks call it.
std::vector<AllReduceSpeed> measure_all_reduce(CommunicationThread& communication);

}  // namespace lockstep
