// A device without hardware that is as asynchronous as one may be: what is enqueued on its streams
// runs late, interleaved at random from a seed, ordered by nothing but the streams and their
// events. Results are those of the device it wraps. So a missing wait gives wrong numbers for some
// seeds, and a needless one can be told by leaving it out.
//
//  - Addresses of its memory are no memory: the host that follows one crashes. Behind them lies
//    memory that kernels get while they run, NaN until written and again once released; a launch
//    that runs on released memory is a violation.
//  - Copies from and to allocate_host() memory are under way until they run.
//  - Calls that order (record, wait, and the host waiting for an event) are numbered; one of them
//    can be ignored.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "device/device.hpp"
#include "support/simulated_memory.hpp"

namespace lockstep::testing {

// A call that orders work, as the n-th of its kind on its stream.
struct OrderCall {
  enum Kind : uint8_t { record, wait, host_wait };
  enum On : uint8_t { compute, copy, communication };
  Kind kind;
  On stream;
  int64_t number;
  auto operator<=>(const OrderCall&) const = default;
  std::string text() const;  // "wait 3 of the compute stream"
};

struct SimulatedOptions {
  uint64_t seed = 0;
  bool can_record = true;
  std::optional<OrderCall> ignored = {};
};

class SimulatedDevice final : public Device {
 public:
  SimulatedDevice(std::unique_ptr<Device> kernels, SimulatedOptions options);
  ~SimulatedDevice() override;

  std::string_view name() const override { return "simulated"; }
  std::string description() const override {
    return "simulated, kernels of " + kernels_->description();
  }
  int threads() const override { return kernels_->threads(); }

  void* allocate(int64_t bytes) override;
  void release(void* memory) noexcept override;
  void* allocate_host(int64_t bytes) override;
  void release_host(void* memory) noexcept override;
  void copy_to_device(void* device, const void* host, int64_t bytes, Stream* stream) override;
  void copy_to_host(void* host, const void* device, int64_t bytes, Stream* stream) override;
  void fill_zero(void* device, int64_t bytes, Stream* stream) override;
  bool host_accessible() const override { return false; }

  Stream* compute_stream() override { return stream(OrderCall::compute); }
  Stream* copy_stream() override { return stream(OrderCall::copy); }
  Stream* communication_stream() override { return stream(OrderCall::communication); }
  Event* create_event() override;
  void destroy_event(Event* event) noexcept override;
  void record(Event* event, Stream* stream) override;
  void wait(Stream* stream, Event* event) override;
  bool finished(Event* event) override;
  void synchronize(Event* event) override;
  void synchronize(Stream* stream) override;

  bool can_record() const override { return options_.can_record; }
  void begin_recording(Stream* stream) override;
  std::unique_ptr<Recording> end_recording(Stream* stream) override;

  bool supports(std::string_view op, const Attributes& attributes, DType dtype) const override;
  LayoutChoice choose_layouts(const KernelRequest& request,
                              std::span<const Layout> available) const override;
  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override;
  std::unique_ptr<Kernel> prepare_update(const UpdateRequest& request) override;
  std::unique_ptr<Kernel> prepare_squared_norm(int64_t count) override;
  std::unique_ptr<Kernel> prepare_accumulate(int64_t count, double keep, double add) override;

  // --- for tests
  // From here on calls are numbered from 0, and one may be ignored.
  void begin_numbering();
  std::vector<OrderCall> numbered_calls() const;
  // What was done that no device allows, such as launches on released memory.
  std::vector<std::string> violations() const;
  int64_t replays() const { return replays_; }

  // --- for kernels and communicators of this device
  // Runs when its turn comes, with the device locked; false: not yet, it is asked again.
  using Task = std::function<bool()>;
  void enqueue(Stream* stream, Task task);
  // What lies behind an address. To be called by tasks as they run.
  void* memory_at(const void* address, std::string_view who);

 private:
  class SimulatedKernel;
  class SimulatedRecording;
  struct Mark;  // one recording of an event
  struct SimulatedStream;
  struct SimulatedEvent;

  Stream* stream(OrderCall::On on);
  bool is_ignored(OrderCall::Kind kind, OrderCall::On stream);
  bool is_reached(Mark& mark);
  bool run_some(int most);
  bool is_stalled(SimulatedStream& stream);
  void run_until(const std::function<bool()>& holds);
  void forbid_while_recording(std::string_view what);
  void add_violation(std::string text);
  bool is_host_allocation(const void* memory, int64_t bytes) const;
  std::unique_ptr<Kernel> simulate(std::unique_ptr<Kernel> kernel, std::string label);

  std::unique_ptr<Device> kernels_;
  const SimulatedOptions options_;
  mutable std::recursive_mutex mutex_;
  std::mt19937_64 random_;
  int eagerness_;      // how much runs as soon as it is enqueued
  uint64_t patience_;  // how seldom something runs when a communicator asks
  uint64_t stalls_;    // how seldom a stream stalls; 0: never
  std::array<std::unique_ptr<SimulatedStream>, 3> streams_;

  SimulatedMemory memory_;
  std::map<const std::byte*, int64_t> host_allocations_;

  bool is_numbering_ = false;
  std::map<std::pair<OrderCall::Kind, OrderCall::On>, int64_t> numbers_;
  std::vector<OrderCall> calls_;
  std::vector<std::string> violations_;
  std::thread::id recording_thread_;
  int64_t replays_ = 0;
};

}  // namespace lockstep::testing
