// What devices on host memory share: memory, copies, a fixed division of work among threads, the
// arena kernels, and a table of kernels by op name.
//
// A kernel is made of a lambda with make_kernel(); it divides its loops with parallel_for(), whose
// parts depend on the number of threads alone, so equal inputs give equal bits. Bodies of
// parallel_for must not throw.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "device/device.hpp"

namespace lockstep {

class HostDevice;

using HostKernelFactory = std::unique_ptr<Kernel> (*)(const KernelRequest&, HostDevice&);

// Kernel factories by op name. Each family of kernels has a file with a function that adds them.
class HostKernelTable {
 public:
  // A later factory replaces an earlier one, so that a device can improve on the shared kernels.
  void set(std::string_view op, HostKernelFactory factory) {
    factories_[std::string(op)] = factory;
  }
  HostKernelFactory find(std::string_view op) const {
    const auto found = factories_.find(op);
    return found == factories_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::string, HostKernelFactory, std::less<>> factories_;
};

class HostDevice : public Device {
 public:
  void* allocate(int64_t bytes) override;
  void release(void* memory) noexcept override;
  void* allocate_host(int64_t bytes) override { return allocate(bytes); }
  void release_host(void* memory) noexcept override { release(memory); }
  void copy_to_device(void* device, const void* host, int64_t bytes, Stream* stream) override;
  void copy_to_host(void* host, const void* device, int64_t bytes, Stream* stream) override;
  void fill_zero(void* device, int64_t bytes, Stream* stream) override;

  // Whether the table has the op. Pointwise ops that a plugin registers bring their loops and need
  // no entry.
  bool supports(std::string_view op, const Attributes& attributes, DType dtype) const override;
  // The factory in the table, else the loops of a pointwise op, else Error{device}.
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

  HostKernelTable& kernels() { return kernels_; }

 private:
  HostKernelTable kernels_;
};

// A kernel whose launch calls f(const KernelArguments&).
template <class F>
std::unique_ptr<Kernel> make_kernel(F f, std::string implementation = "loop",
                                    int64_t workspace_bytes = 0) {
  class FunctionKernel final : public Kernel {
   public:
    FunctionKernel(F function, std::string implementation, int64_t workspace_bytes)
        : function_(std::move(function)),
          implementation_(std::move(implementation)),
          workspace_bytes_(workspace_bytes) {}
    void launch(const KernelArguments& arguments) override { function_(arguments); }
    int64_t workspace_bytes() const override { return workspace_bytes_; }
    std::string_view implementation() const override { return implementation_; }

   private:
    F function_;
    std::string implementation_;
    int64_t workspace_bytes_;
  };
  return std::make_unique<FunctionKernel>(std::move(f), std::move(implementation), workspace_bytes);
}

// The i-th argument of a launch, typed.
template <class T = float>
const T* input(const KernelArguments& arguments, size_t i) {
  return static_cast<const T*>(arguments.inputs[i]);
}
template <class T = float>
T* output(const KernelArguments& arguments, size_t i) {
  return static_cast<T*>(arguments.outputs[i]);
}

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
void add_shared_kernels(HostKernelTable&);      // all of these

// y = f(x) or dx = g(y, dy) with the loops of the op's definition, in any layout.
std::unique_ptr<Kernel> make_pointwise_kernel(const KernelRequest& request, HostDevice& device);

}  // namespace lockstep
