// The one thread of a rank that talks to other ranks. Everybody else posts collectives to its
// queue; all ranks post the same ones in the same order. It starts them without blocking, polls,
// sleeps a little, and watches a deadline that counts progress, so that a stopped peer or a dead
// link ends the job instead of hanging it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/communicator.hpp"
#include "device/device.hpp"

namespace lockstep {

class CommunicationThread {
 public:
  using Make = std::function<std::unique_ptr<Communicator>()>;

  // Starts the thread, which makes the communicator (so MPI_Init is its own); an error there is
  // thrown here.
  CommunicationThread(Make make, double timeout_seconds);
  // Orderly end: waits for the queue to empty, then destroys the communicator on its thread.
  ~CommunicationThread();

  int rank() const;
  int world_size() const;
  int local_rank() const;
  int local_size() const;
  bool stream_ordered() const;
  void attach(Device& device);

  // What was posted; done when its result may be read by the host. Copyable, cheap.
  class Ticket {
   public:
    Ticket() = default;
    bool done() const;

   private:
    friend class CommunicationThread;
    struct State;
    std::shared_ptr<State> state_;
  };

  // Posts a sum over all ranks, in place. `ready` (may be null): the device's event after which
  // data may be read. `label` names the collective in messages ("bucket 3 of step 17").
  Ticket post_all_reduce(void* data, int64_t count, DType dtype, Memory memory, Event* ready,
                         std::string_view label);
  Ticket post_broadcast(void* data, int64_t bytes, int root, Memory memory, std::string_view label);
  Ticket post_all_gather(const void* mine, void* all, int64_t bytes, std::string_view label);
  // Watches for the device's event, without a deadline of its own: done when its stream has come
  // there.
  Ticket post_event(Event* event, std::string_view label);
  // Waits until it is done. A failure of the collective, a peer's silence past the deadline
  // included, does not return: it prints one line and ends all ranks (Failure::device).
  void wait(const Ticket& ticket);
  // Waits until the device can be told to wait for it: a collective in stream order, until it is
  // enqueued, and gives the event behind it, there while the ticket is. Others until they are done,
  // and null.
  Event* wait_in_order(const Ticket& ticket);

  // --- conveniences on host memory that post and wait
  void sum(std::span<double> values, std::string_view label);
  void broadcast(std::string& text, int root, std::string_view label);  // any length
  std::vector<std::string> gather(std::string_view text,
                                  std::string_view label);  // from every rank, to every rank
  void barrier(std::string_view label);

  // Ends every rank with this exit code at once; callable from any thread; does not return.
  [[noreturn]] void abort(int exit_code) noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
