// Memory and kernel lookup of devices on host memory.
#include "device/host_device.hpp"

#include <cstdlib>
#include <cstring>

#include "base/text.hpp"
#include "device/host_half.hpp"
#include "device/host_memory.hpp"
#include "ops/attributes.hpp"

namespace lockstep {
namespace {

constexpr int64_t kAlignment = 64;

}  // namespace

void* HostDevice::allocate(int64_t bytes) {
  LS_ASSERT(bytes >= 0);
  constexpr int64_t kMost = INT64_MAX - kAlignment;
  // Linux gives what it does not have, and ends the process that uses it: better to say so before.
  constexpr int64_t kLarge = 256 << 20;
  const int64_t free = bytes >= kLarge ? free_bytes() : -1;
  const bool exceeds = free >= 0 && bytes > free;
  void* memory = nullptr;
  if (bytes <= kMost && !exceeds) {
    const int64_t rounded =
        std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    memory = std::aligned_alloc(kAlignment, static_cast<size_t>(rounded));
  }
  if (memory == nullptr) {
    throw OutOfMemory(
        concat("device ", name(), ": there is no memory for ", bytes_text(bytes), " (", bytes,
               " bytes) more; use a smaller batch or fewer ranks per host"),
        bytes);
  }
  return memory;
}

int64_t HostDevice::free_bytes() const { return free_host_bytes(); }

void HostDevice::release(void* memory) noexcept { std::free(memory); }

void HostDevice::copy_to_device(void* device, const void* host, int64_t bytes, Stream*) {
  if (bytes > 0) std::memcpy(device, host, static_cast<size_t>(bytes));
}

void HostDevice::copy_to_host(void* host, const void* device, int64_t bytes, Stream*) {
  if (bytes > 0) std::memcpy(host, device, static_cast<size_t>(bytes));
}

void HostDevice::fill_zero(void* device, int64_t bytes, Stream*) {
  constexpr int64_t kGrain = 1 << 18;
  parallel_for(bytes, kGrain, [=](int64_t begin, int64_t end) {
    std::memset(static_cast<char*>(device) + begin, 0, static_cast<size_t>(end - begin));
  });
}

bool HostDevice::supports(std::string_view op, const Attributes& attributes, DType) const {
  const bool batch_norm = op == "batch_norm" || op == "batch_norm_grad";
  if (batch_norm && !attributes.empty() && attributes.as<BatchNormAttributes>().mask) return false;
  return kernels_.find(op) != nullptr;
}

bool HostDevice::takes_half(const KernelRequest& request) const {
  return request.op == "cast" || request.op == "reorder" || request.op == "reshape";
}

std::unique_ptr<Kernel> HostDevice::prepare(const KernelRequest& request) {
  if (!has_half(request) || takes_half(request)) return prepare_as_it_is(request);
  return make_kernel_through_float(
      request, *this, [this](const KernelRequest& floats) { return prepare_as_it_is(floats); });
}

std::unique_ptr<Kernel> HostDevice::prepare_as_it_is(const KernelRequest& request) {
  if (const HostKernelFactory factory = kernels_.find(request.op)) return factory(request, *this);
  if (request.definition.pointwise.forward != nullptr) return make_pointwise_kernel(request, *this);
  fail(Failure::device, request.label, ": device ", name(), " has no kernel for the op ",
       request.op, "; choose another device, or a model without this op");
}

void HostDevice::run_parts(int parts, PartTask task) {
  for (int part = 0; part < parts; ++part) task.call(task.object, part);
}

void require_plain(const KernelRequest& request) {
  const auto check = [&](const TensorType& type) {
    if (type.layout == Layout::plain) return;
    fail(Failure::device, request.label, ": the kernel of the op ", request.op, " was asked for ",
         type.text(), "; it knows the plain layout only");
  };
  for (const TensorType& type : request.inputs) check(type);
  for (const TensorType& type : request.outputs) check(type);
}

void add_shared_kernels(HostKernelTable& table) {
  add_pointwise_kernels(table);
  add_channel_kernels(table);
  add_loss_kernels(table);
  add_statistics_kernels(table);
  add_reorder_kernels(table);
  add_cast_kernels(table);
}

}  // namespace lockstep
