// What devices on host memory share: memory, copies, a fixed division of work among threads, and
// the arena kernels.
//
// A kernel is made of a lambda with make_kernel(); it divides its loops with parallel_for(), whose
// parts depend on the number of threads alone, so equal inputs give equal bits. Bodies of
// parallel_for must not throw.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "device/make_kernel.hpp"

namespace lockstep {

class HostDevice;

using HostKernelTable = KernelTable<HostDevice>;
using HostKernelFactory = HostKernelTable::Factory;

class HostDevice : public Device {
 public:
  void* allocate(int64_t bytes) override;
  void release(void* memory) noexcept override;
  void* allocate_host(int64_t bytes) override { return allocate(bytes); }
  void release_host(void* memory) noexcept override { release(memory); }
  void copy_to_device(void* device, const void* host, int64_t bytes, Stream* stream) override;
  void copy_to_host(void* host, const void* device, int64_t bytes, Stream* stream) override;
  void fill_zero(void* device, int64_t bytes, Stream* stream) override;
  int64_t free_bytes() const override;

  // Whether the table has the op, for every element type. A batch norm's mask saves nothing here,
  // so plans go without. Pointwise ops that a plugin registers bring their loops and need no entry.
  bool supports(std::string_view op, const Attributes& attributes, DType dtype) const override;
  // The factory in the table, else the loops of a pointwise op, else Error{device}. What is half
  // goes through float32 (device/host_half.hpp) unless the kernel takes it as it is.
  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override;

  std::unique_ptr<Kernel> prepare_update(const UpdateRequest& request) override;
  std::unique_ptr<Kernel> prepare_squared_norm(int64_t count) override;
  std::unique_ptr<Kernel> prepare_accumulate(int64_t count, double keep, double add) override;

  // Calls body(begin, end) for ranges that cover [0, count): at most one per thread, each beginning
  // at a multiple of `grain`, at the same places whenever threads() is the same.
  template <class Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) {
    const int64_t chunks = (count + grain - 1) / grain;
    const int64_t parts = std::min<int64_t>(chunks, threads());
    if (parts <= 1) {
      if (count > 0) body(int64_t{0}, count);
      return;
    }
    auto part_body = [&](int part) {
      const int64_t begin = chunks * part / parts * grain;
      const int64_t end = std::min(count, chunks * (part + 1) / parts * grain);
      body(begin, end);
    };
    using PartBody = decltype(part_body);
    const auto call = [](void* object, int part) { (*static_cast<PartBody*>(object))(part); };
    run_parts(static_cast<int>(parts), {&part_body, call});
  }

 protected:
  // A callable by address, so that launches allocate nothing.
  struct PartTask {
    void* object;
    void (*call)(void* object, int part);
  };
  // Calls the task for parts 0 … parts - 1 and returns when all are done; here one after the other.
  // A device with threads gives part p to its thread p.
  virtual void run_parts(int parts, PartTask task);

  // Whether this op's factory makes kernels for half values themselves; here cast, reorder and
  // reshape, which compute nothing.
  virtual bool takes_half(const KernelRequest& request) const;

  HostKernelTable& kernels() { return kernels_; }

 private:
  std::unique_ptr<Kernel> prepare_as_it_is(const KernelRequest& request);

  HostKernelTable kernels_;
};

// Throws Error{device} unless all inputs and outputs are plain, for kernels that know no other
// layout.
void require_plain(const KernelRequest& request);

// The kernels all host devices can use, by family. The pointwise ones, add and scale take any
// layout, reorder any pair of layouts; the others know the plain layout only.
void add_pointwise_kernels(HostKernelTable&);   // relu, sigmoid, tanh, add, scale, dropout, reshape
void add_channel_kernels(HostKernelTable&);     // concat, slice_channels, pad_channels, subsample
void add_loss_kernels(HostKernelTable&);        // softmax_cross_entropy, classification_metrics
void add_statistics_kernels(HostKernelTable&);  // batch_statistics
void add_reorder_kernels(HostKernelTable&);     // reorder
void add_cast_kernels(HostKernelTable&);        // cast, in any layout
void add_shared_kernels(HostKernelTable&);      // all of these

// y = f(x) or dx = g(y, dy) with the loops of the op's definition, in any layout.
std::unique_ptr<Kernel> make_pointwise_kernel(const KernelRequest& request, HostDevice& device);

}  // namespace lockstep
