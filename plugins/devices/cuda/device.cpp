// The device itself: what is made once, what is told of it, and the kernels it prepares.
#include "device.hpp"

#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#include <lockstep/plugin.hpp>
#include <utility>

#include "check.hpp"
#include "cudnn_kernels.hpp"
#include "device/cores.hpp"
#include "planner.hpp"

namespace lockstep::cuda {
namespace {

// A prepared kernel whose errors name it. Errors of asynchronous work come later, from another
// call, except with CUDA_LAUNCH_BLOCKING=1.
class NamedKernel final : public Kernel {
 public:
  NamedKernel(std::unique_ptr<Kernel> kernel, std::string name, const CudaDevice& device)
      : kernel_(std::move(kernel)), name_(std::move(name)), device_(device) {}

  void launch(const KernelArguments& arguments) override {
    named([&] { kernel_->launch(arguments); });
  }
  void update_constants(const KernelArguments& arguments) override {
    named([&] { kernel_->update_constants(arguments); });
  }
  int64_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  int64_t constant_bytes() const override { return kernel_->constant_bytes(); }
  std::string_view implementation() const override { return kernel_->implementation(); }

 private:
  template <class F>
  void named(const F& work) {
    device_.use();
    try {
      work();
      check(cudaGetLastError(), "launch");
    } catch (Error& error) {
      error.add_context(name_);
      throw;
    }
  }

  std::unique_ptr<Kernel> kernel_;
  std::string name_;
  const CudaDevice& device_;
};

PlannerOptions planner_options(const DeviceOptions& options) {
  return {
      .deterministic = options.deterministic, .tf32 = options.tf32, .autotune = options.autotune};
}

CudaKernelTable all_kernels() {
  CudaKernelTable table;
  add_own_kernels(table);
  add_cudnn_kernels(table);
  return table;
}

}  // namespace

CudaDevice::CudaDevice(const DeviceOptions& options)
    : options_(options), threads_(options.threads > 0 ? options.threads : share_of_cores(options)) {
  const GpuCount gpus = count_gpus();
  if (gpus.count == 0) fail(Failure::device, gpus.unusable);
  index_ = gpu_of_rank(options, gpus.count);
  gpu_ = gpu_properties(index_);
  require_compiled_for(gpu_);
  kernels_ = all_kernels();
  open_streams();
  check(cudnnCreate(&handle_), "cudnnCreate");
  planner_ = std::make_unique<Planner>(handle_, gpu_, planner_options(options));
}

CudaDevice::CudaDevice(const std::string& description, const DeviceOptions& options)
    : CudaDevice(described_properties(description),
                 std::make_unique<Planner>(description, described_properties(description),
                                           planner_options(options)),
                 options) {}

CudaDevice::CudaDevice(const GpuProperties& gpu, std::unique_ptr<Planner> planner,
                       const DeviceOptions& options)
    : options_(options),
      gpu_(gpu),
      threads_(1),
      kernels_(all_kernels()),
      planner_(std::move(planner)) {}

CudaDevice::~CudaDevice() {
  planner_.reset();
  if (plans_only()) return;
  // The process may be ending because the device failed: nothing here is worth an error.
  cudaSetDevice(index_);
  if (handle_ != nullptr) cudnnDestroy(handle_);
  for (Stream* stream : {compute_, copy_, communication_}) {
    if (stream != nullptr) cudaStreamDestroy(cuda_stream(stream));
  }
}

std::string CudaDevice::description() const {
  std::string text = concat("cuda: ", gpu_.name, ", sm_", gpu_.architecture);
  if (!plans_only()) {
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    text += concat(", driver ", cuda_version_text(driver));
  }
  text += concat(", cuDNN ", cudnn_version_text());
  if (!options_.deterministic) text += ", not deterministic";
  if (!options_.tf32) text += ", no TF32";
  return plans_only() ? text + ", plans only" : text;
}

std::unique_ptr<Kernel> CudaDevice::prepare(const KernelRequest& request) {
  if (!plans_only()) use();
  const std::string name = concat(request.label, " (", request.op, " on ", gpu_.name, ")");
  try {
    return std::make_unique<NamedKernel>(make_kernel_of(request), name, *this);
  } catch (Error& error) {
    error.add_context(name);
    throw;
  }
}

std::unique_ptr<Kernel> CudaDevice::make_kernel_of(const KernelRequest& request) {
  if (const auto factory = kernels_.find(request.op)) return factory(request, *this);
  if (request.definition.pointwise.forward != nullptr) {
    return make_plugin_pointwise_kernel(request);
  }
  fail(Failure::device, "device cuda has no kernel for the op ", request.op,
       "; choose another device, or a model without this op");
}

std::unique_ptr<Kernel> CudaDevice::prepare_update(const UpdateRequest& request) {
  return std::make_unique<NamedKernel>(make_update_kernel(request),
                                       concat("update by ", request.optimizer_name), *this);
}

std::unique_ptr<Kernel> CudaDevice::prepare_squared_norm(int64_t count) {
  return std::make_unique<NamedKernel>(make_squared_norm_kernel(count), "norm of the gradient",
                                       *this);
}

std::unique_ptr<Kernel> CudaDevice::prepare_accumulate(int64_t count, double keep, double add) {
  return std::make_unique<NamedKernel>(make_accumulate_kernel(count, keep, add), "accumulate",
                                       *this);
}

}  // namespace lockstep::cuda

LS_PLUGIN(cuda, registry) {
  registry.device(
      "cuda",
      [](const lockstep::DeviceOptions& options) {
        return std::make_unique<lockstep::cuda::CudaDevice>(options);
      },
      "an NVIDIA GPU for each rank; cuDNN " + lockstep::cuda::cudnn_version_text(),
      lockstep::cuda::probe_gpus);
}
