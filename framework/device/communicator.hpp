// What a communicator is to the framework: collectives among ranks that are started, then polled.
//
// Every method is called by one thread, the communication thread
// (runtime/communication_thread.hpp), from the construction of the communicator to its destruction;
// so MPI sees a single thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/dtype.hpp"

namespace lockstep {

class Device;
struct Event;

struct CommunicatorOptions {
  double timeout_seconds = 600;
};

// A collective under way; destroyed only when done or when the process is about to end.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual bool test() = 0;  // true: done. Throws Error{device} when it has failed.
};

class Communicator {
 public:
  virtual ~Communicator() = default;  // orderly end; all ranks call it

  virtual std::string_view name() const = 0;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  virtual int local_rank() const = 0;  // among the ranks of this host
  virtual int local_size() const = 0;

  // Whether collectives take device memory in stream order (NCCL). Otherwise the data must be in
  // host memory, and the communication thread waits for the device's event before it starts one.
  virtual bool stream_ordered() const { return false; }
  // Told once, before the first collective on device memory.
  virtual void attach(Device&) {}

  // Sums `count` elements (f32 or f64) over all ranks, in place. All ranks must start the same
  // collectives in the same order.
  virtual std::unique_ptr<Pending> start_all_reduce(void* data, int64_t count, DType dtype) = 0;
  virtual std::unique_ptr<Pending> start_broadcast(void* data, int64_t bytes, int root) = 0;
  // Each rank gives `bytes` bytes; everybody receives all, in rank order (host memory always).
  virtual std::unique_ptr<Pending> start_all_gather(const void* mine, void* all, int64_t bytes) = 0;

  // Ends every rank of the job with this exit code; does not return. Must be bounded in time.
  [[noreturn]] virtual void abort(int exit_code) noexcept = 0;
};

}  // namespace lockstep
