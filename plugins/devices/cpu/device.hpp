// The cpu device: oneDNN for convolutions and matrix products, own loops for what is bound by
// memory, on the cores of this host. Instruction sets are chosen when the program runs.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "device/host_device.hpp"
#include "onednn.hpp"

namespace lockstep::cpu {

struct ConvolutionLayouts {
  Layout x = Layout::plain;
  Layout y = Layout::plain;
};

class CpuDevice final : public HostDevice {
 public:
  explicit CpuDevice(const DeviceOptions& options);

  std::string_view name() const override { return "cpu"; }
  std::string description() const override;
  int threads() const override { return threads_; }
  LayoutChoice choose_layouts(const KernelRequest& request,
                              std::span<const Layout> available) const override;
  // f32, and bf16 where the processor computes in it.
  bool supports(std::string_view op, const Attributes& attributes, DType dtype) const override;
  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override;

  // Whether activations and weights may be of this type here.
  bool computes(DType dtype) const { return dtype == DType::f32 || dtype == half_; }

  // The layout in which convolutions are fastest here; that of all images between two of them.
  Layout activation_layout() const { return activation_layout_; }

  // OpenMP's number of threads belongs to the calling thread: whoever prepares or launches calls
  // this first.
  void use_threads() const;

  // Calls body(begin, end) for ranges that cover [0, count), several per thread, in any order: a
  // thread whose core is taken by a neighbour leaves its share to the others. For bodies whose
  // results do not depend on the ranges.
  template <class Body>
  void parallel_tasks(int64_t count, Body&& body) {
    const int64_t parts = std::min<int64_t>(count, threads_ == 1 ? 1 : threads_ * kPartsPerThread);
    if (parts <= 1) {
      if (count > 0) body(int64_t{0}, count);
      return;
    }
    auto part_body = [&](int part) { body(count * part / parts, count * (part + 1) / parts); };
    using PartBody = decltype(part_body);
    const auto call = [](void* object, int part) { (*static_cast<PartBody*>(object))(part); };
    run_parts(static_cast<int>(parts), {&part_body, call});
  }

 protected:
  void run_parts(int parts, PartTask task) override;
  bool takes_half(const KernelRequest& request) const override;

 private:
  static constexpr int kPartsPerThread = 8;

  LayoutChoice convolution_choice(const KernelRequest& request) const;
  std::optional<ConvolutionLayouts> convolution_layouts(
      onednn::Direction direction, const onednn::ConvolutionShape& shape) const;
  Layout wanted_layout(const KernelRequest& request, std::span<const Layout> available) const;

  int threads_;
  Layout activation_layout_;
  DType half_;  // bf16, or f32: none
  mutable std::mutex mutex_;
  // By direction and shape.
  mutable std::map<std::string, std::optional<ConvolutionLayouts>> chosen_;
};

}  // namespace lockstep::cpu
