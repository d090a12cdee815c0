// The cuda device: one GPU of this host. Memory, streams, events and recordings are one call each
// of the CUDA runtime; convolutions, matrix products and batch norm are cuDNN's (graphs.hpp), all
// else own kernels (kernels.hpp). Four-dimensional activations lie as Layout::nhwc8c.
//
// Made from a device description instead (cuDNN's JSON form) it only plans: it prepares every
// kernel for a GPU that is not there, and has no memory and no streams.
#pragma once

#include <memory>
#include <string>

#include "device/device.hpp"
#include "gpus.hpp"
#include "kernels.hpp"

struct cudnnContext;  // cudnnHandle_t is cudnnContext*

namespace lockstep::cuda {

class Planner;

class CudaDevice final : public Device {
 public:
  // The GPU of this rank. Throws Error{device}, one line, where there is none for it.
  explicit CudaDevice(const DeviceOptions& options);
  // Plans for the described GPU.
  CudaDevice(const std::string& description, const DeviceOptions& options);
  // Plans for a GPU with this planner.
  CudaDevice(const GpuProperties& gpu, std::unique_ptr<Planner> planner,
             const DeviceOptions& options);
  ~CudaDevice() override;

  std::string_view name() const override { return "cuda"; }
  std::string description() const override;
  int threads() const override { return threads_; }
  std::string unique_id() const override { return gpu_.uuid; }

  void* allocate(int64_t bytes) override;
  void release(void* memory) noexcept override;
  void* allocate_host(int64_t bytes) override;
  void release_host(void* memory) noexcept override;
  void copy_to_device(void* device, const void* host, int64_t bytes, Stream* stream) override;
  void copy_to_host(void* host, const void* device, int64_t bytes, Stream* stream) override;
  void fill_zero(void* device, int64_t bytes, Stream* stream) override;
  int64_t free_bytes() const override;
  bool host_accessible() const override { return false; }

  Stream* compute_stream() override { return compute_; }
  Stream* copy_stream() override { return copy_; }
  Stream* communication_stream() override { return communication_; }
  Event* create_event() override;
  void destroy_event(Event* event) noexcept override;
  void record(Event* event, Stream* stream) override;
  void wait(Stream* stream, Event* event) override;
  bool finished(Event* event) override;
  void synchronize(Event* event) override;
  void synchronize(Stream* stream) override;

  bool can_record() const override { return !plans_only(); }
  void begin_recording(Stream* stream) override;
  std::unique_ptr<Recording> end_recording(Stream* stream) override;

  bool supports(std::string_view op, const Attributes& attributes, DType dtype) const override;
  LayoutChoice choose_layouts(const KernelRequest& request,
                              std::span<const Layout> available) const override;
  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override;
  std::unique_ptr<Kernel> prepare_update(const UpdateRequest& request) override;
  std::unique_ptr<Kernel> prepare_squared_norm(int64_t count) override;
  std::unique_ptr<Kernel> prepare_accumulate(int64_t count, double keep, double add) override;

  // The current GPU belongs to the calling thread: every call of the runtime is preceded by this.
  void use() const;
  bool plans_only() const { return index_ < 0; }
  const GpuProperties& gpu() const { return gpu_; }
  const DeviceOptions& options() const { return options_; }
  // cuDNN's side; the handle's stream is set by whoever executes. Null where the device only plans.
  Planner& planner() { return *planner_; }
  cudnnContext* handle() const { return handle_; }

 private:
  void open_streams();
  std::unique_ptr<Kernel> make_kernel_of(const KernelRequest& request);

  DeviceOptions options_;
  int index_ = -1;  // of the GPU on this host; -1: plans only
  GpuProperties gpu_;
  int threads_;
  CudaKernelTable kernels_;
  Stream* compute_ = nullptr;
  Stream* copy_ = nullptr;
  Stream* communication_ = nullptr;
  cudnnContext* handle_ = nullptr;
  std::unique_ptr<Planner> planner_;
};

inline CudaStream cuda_stream(Stream* stream) { return reinterpret_cast<CudaStream>(stream); }

}  // namespace lockstep::cuda
