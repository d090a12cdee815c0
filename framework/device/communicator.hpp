// What a communicator is to the framework: collectives among ranks that are started, then polled.
//
// Every method is called by one thread, the communication thread
// (runtime/communication_thread.hpp), from the construction of the communicator to its destruction;
// so MPI sees a single thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.hpp"

namespace lockstep {

class Communicator;
class Device;
struct Event;

struct CommunicatorOptions {
  double timeout_seconds = 600;
  // Of a communicator for device memory alone: makes the one that joins the processes and carries
  // what lies in host memory.
  std::function<std::unique_ptr<Communicator>()> make_host = nullptr;
};

// Where the data of a collective lies. Of a device whose memory the host may use, both are one.
enum class Memory : uint8_t { host, device };

// A collective under way; destroyed, by any thread, only when done or when the process is to end.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual bool test() = 0;  // true: done. Throws Error{device} when it has failed.
  // Of a collective in stream order: recorded behind it, so that other streams can wait for its
  // result while the host goes on. Null: its result is there when test() says so.
  virtual Event* enqueued() const { return nullptr; }
};

// A rank as a roll call finds it.
struct Presence {
  std::string host;
  bool answers = false;  // false: nothing was heard from it in time
  int64_t started = 0;   // the collectives that it has started
};

class Communicator {
 public:
  virtual ~Communicator() = default;  // orderly end; all ranks call it

  virtual std::string_view name() const = 0;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  virtual int local_rank() const = 0;  // among the ranks of this host
  virtual int local_size() const = 0;

  // Whether collectives on device memory are enqueued on the device's communication stream (NCCL).
  // Otherwise all data must be in memory that the host may use, and the communication thread waits
  // for the device's event before it starts one.
  virtual bool stream_ordered() const { return false; }
  // Told once, before the first collective on device memory.
  virtual void attach(Device&) {}

  // Sums `count` elements (f32, f64, bf16) over all ranks, in place. All must start the same
  // collectives in the same order.
  virtual std::unique_ptr<Pending> start_all_reduce(void* data, int64_t count, DType dtype,
                                                    Memory memory) = 0;
  virtual std::unique_ptr<Pending> start_broadcast(void* data, int64_t bytes, int root,
                                                   Memory memory) = 0;
  // Each rank gives `bytes` bytes; everybody receives all, in rank order (host memory always).
  virtual std::unique_ptr<Pending> start_all_gather(const void* mine, void* all, int64_t bytes) = 0;

  // A roll call, when nothing has moved for long: tells every other rank how many collectives this
  // one has started and asks for as much, waiting `seconds` at most. One entry per rank, in order;
  // empty: this communicator cannot ask.
  virtual std::vector<Presence> call_roll([[maybe_unused]] int64_t started,
                                          [[maybe_unused]] double seconds) {
    return {};
  }
  // Answers the others' roll calls without waiting; called again and again, also beside
  // computation.
  virtual void answer_roll_call([[maybe_unused]] int64_t started) {}

  // Ends every rank of the job with this exit code; does not return. Must be bounded in time.
  [[noreturn]] virtual void abort(int exit_code) noexcept = 0;
};

}  // namespace lockstep
