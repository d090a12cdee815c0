// Threads, the table of kernels, and the plugin's door.
#include "device.hpp"

#include <omp.h>

#include <cstring>
#include <fstream>
#include <lockstep/plugin.hpp>
#include <vector>

#include "device/cores.hpp"
#include "kernels.hpp"

namespace lockstep::cpu {
namespace {

// "AMD EPYC 9454", from /proc/cpuinfo
std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

}  // namespace

CpuDevice::CpuDevice(const DeviceOptions& options)
    : threads_(options.threads > 0 ? options.threads : share_of_cores(options)),
      activation_layout_(onednn::activation_layout()),
      half_(onednn::computes_bf16() ? DType::bf16 : DType::f32) {
  add_shared_kernels(kernels());
  add_convolution_kernels(kernels());
  add_linear_kernels(kernels());
  add_inference_kernels(kernels());
  add_reorder_kernel(kernels());
  add_batch_norm_kernels(kernels());
  add_batch_norm_grad_kernels(kernels());
  add_max_pool_kernels(kernels());
  add_avg_pool_kernels(kernels());
  add_copy_kernels(kernels());
  add_elementwise_kernels(kernels());
}

std::string CpuDevice::description() const {
  return concat("cpu: ", processor_name(), ", ", onednn::instruction_set(), ", ", threads_,
                threads_ == 1 ? " thread" : " threads", ", oneDNN ", onednn::version());
}

void CpuDevice::use_threads() const {
  if (omp_get_max_threads() != threads_) omp_set_num_threads(threads_);
}

bool CpuDevice::supports(std::string_view op, const Attributes& attributes, DType dtype) const {
  return (!is_half(dtype) || dtype == half_) && HostDevice::supports(op, attributes, dtype);
}

// Convolutions and linear layers where oneDNN has a fast kernel for these layouts; float32 is
// faster than one of its plain loops.
bool CpuDevice::takes_half(const KernelRequest& request) const {
  if (request.op.starts_with("linear")) return true;
  if (!request.op.starts_with("conv2d")) return HostDevice::takes_half(request);
  return has_fast_convolution(request);
}

std::unique_ptr<Kernel> CpuDevice::prepare(const KernelRequest& request) {
  use_threads();
  return HostDevice::prepare(request);
}

void CpuDevice::run_parts(int parts, PartTask task) {
  if (parts <= threads_) {
#pragma omp parallel for schedule(static, 1) num_threads(parts)
    for (int part = 0; part < parts; ++part) task.call(task.object, part);
  } else {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads_)
    for (int part = 0; part < parts; ++part) task.call(task.object, part);
  }
}

std::unique_ptr<Kernel> make_zero_kernel(const KernelRequest& request) {
  std::vector<size_t> bytes;
  for (const TensorType& type : request.outputs) bytes.push_back(static_cast<size_t>(type.bytes()));
  return make_kernel([bytes](const KernelArguments& arguments) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] > 0) std::memset(arguments.outputs[i], 0, bytes[i]);
    }
  });
}

void require_one_layout(const KernelRequest& request) {
  const TensorType* first = nullptr;  // image
  const auto check = [&](const TensorType& type) {
    if (type.shape.rank() != 4) return;
    if (first == nullptr) first = &type;
    if (type.layout == first->layout && type.layout != Layout::nhwc) return;
    fail(Failure::device, request.label, ": the cpu kernel of the op ", request.op,
         " was asked for ", type.text(), " beside ", first->text(),
         "; it needs one layout, plain or blocked, for all images");
  };
  for (const TensorType& type : request.inputs) check(type);
  for (const TensorType& type : request.outputs) check(type);
}

void require_no_mask(const KernelRequest& request) {
  if (!request.attributes.as<BatchNormAttributes>().mask) return;
  fail(Failure::device, request.label, ": the cpu kernel of the op ", request.op,
       " knows no mask; fuse without it, as supports() says");
}

}  // namespace lockstep::cpu

LS_PLUGIN(cpu, registry) {
  registry.device(
      "cpu",
      [](const lockstep::DeviceOptions& options) {
        return std::make_unique<lockstep::cpu::CpuDevice>(options);
      },
      "processors of this host; oneDNN " + lockstep::onednn::version());
}
