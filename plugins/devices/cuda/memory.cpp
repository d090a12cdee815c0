// Memory, streams, events and recordings of the device: thin over the CUDA runtime.
#include <cuda_runtime_api.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "check.hpp"
#include "device.hpp"

namespace lockstep::cuda {
namespace {

cudaEvent_t cuda_event(Event* event) { return reinterpret_cast<cudaEvent_t>(event); }

class CudaRecording final : public Recording {
 public:
  explicit CudaRecording(cudaGraph_t graph) {
    check(cudaGraphInstantiate(&executable_, graph, 0), "cudaGraphInstantiate");
  }
  ~CudaRecording() override { cudaGraphExecDestroy(executable_); }
  void replay(Stream* stream) override {
    check(cudaGraphLaunch(executable_, cuda_stream(stream)), "cudaGraphLaunch");
  }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace

void CudaDevice::use() const {
  if (plans_only()) {
    fail(Failure::device, "cuda: this device only plans for a ", gpu_.name,
         "; it has no memory and no streams");
  }
  static thread_local int current = -1;
  if (current == index_) return;
  check(cudaSetDevice(index_), "cudaSetDevice");
  current = index_;
}

void CudaDevice::open_streams() {
  use();
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
  const auto open = [](Stream*& stream, int priority) {
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithPriority(&made, cudaStreamNonBlocking, priority),
          "cudaStreamCreateWithPriority");
    stream = reinterpret_cast<Stream*>(made);
  };
  open(compute_, least);
  open(copy_, least);
  // A collective that waits for processors holds up all ranks.
  open(communication_, greatest);
}

void* CudaDevice::allocate(int64_t bytes) {
  LS_ASSERT(bytes >= 0);
  use();
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, static_cast<size_t>(std::max<int64_t>(bytes, 1)));
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();  // told here: no later call is to report it
    throw OutOfMemory(
        concat("device cuda (", gpu_.name, "): found ", bytes_text(free_bytes()), " free of ",
               bytes_text(gpu_.memory_bytes), "; ", bytes_text(bytes), " (", bytes,
               " bytes) more were wanted; use a smaller batch, or more shards "
               "(train.gradient_accumulation)"),
        bytes);
  }
  check(status, "cudaMalloc");
  return memory;
}

void CudaDevice::release(void* memory) noexcept { cudaFree(memory); }

void* CudaDevice::allocate_host(int64_t bytes) {
  LS_ASSERT(bytes >= 0);
  use();
  void* memory = nullptr;
  const auto size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
  const cudaError_t status = cudaHostAlloc(&memory, size, cudaHostAllocPortable);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    fail(Failure::device, "device cuda (", gpu_.name, "): the host gives no ", bytes_text(bytes),
         " of pinned memory; use a smaller batch, or fewer ranks per host");
  }
  check(status, "cudaHostAlloc");
  return memory;
}

void CudaDevice::release_host(void* memory) noexcept { cudaFreeHost(memory); }

void CudaDevice::copy_to_device(void* device, const void* host, int64_t bytes, Stream* stream) {
  use();
  check(cudaMemcpyAsync(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice,
                        cuda_stream(stream)),
        "cudaMemcpyAsync to the device");
}

void CudaDevice::copy_to_host(void* host, const void* device, int64_t bytes, Stream* stream) {
  use();
  check(cudaMemcpyAsync(host, device, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost,
                        cuda_stream(stream)),
        "cudaMemcpyAsync to the host");
}

void CudaDevice::fill_zero(void* device, int64_t bytes, Stream* stream) {
  use();
  check(cudaMemsetAsync(device, 0, static_cast<size_t>(bytes), cuda_stream(stream)),
        "cudaMemsetAsync");
}

int64_t CudaDevice::free_bytes() const {
  if (plans_only()) return -1;
  use();
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return static_cast<int64_t>(free);
}

Event* CudaDevice::create_event() {
  use();
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  return reinterpret_cast<Event*>(event);
}

void CudaDevice::destroy_event(Event* event) noexcept { cudaEventDestroy(cuda_event(event)); }

void CudaDevice::record(Event* event, Stream* stream) {
  use();
  check(cudaEventRecord(cuda_event(event), cuda_stream(stream)), "cudaEventRecord");
}

void CudaDevice::wait(Stream* stream, Event* event) {
  use();
  check(cudaStreamWaitEvent(cuda_stream(stream), cuda_event(event), 0), "cudaStreamWaitEvent");
}

bool CudaDevice::finished(Event* event) {
  use();
  const cudaError_t status = cudaEventQuery(cuda_event(event));
  if (status == cudaErrorNotReady) {
    (void)cudaGetLastError();  // no error of a later launch
    return false;
  }
  check(status, "cudaEventQuery");
  return true;
}

void CudaDevice::synchronize(Event* event) {
  use();
  check(cudaEventSynchronize(cuda_event(event)), "cudaEventSynchronize");
}

void CudaDevice::synchronize(Stream* stream) {
  use();
  check(cudaStreamSynchronize(cuda_stream(stream)), "cudaStreamSynchronize");
}

// Other threads may go on with calls that a recording forbids: the loader's copies are no part of
// it.
void CudaDevice::begin_recording(Stream* stream) {
  use();
  check(cudaStreamBeginCapture(cuda_stream(stream), cudaStreamCaptureModeThreadLocal),
        "cudaStreamBeginCapture");
}

std::unique_ptr<Recording> CudaDevice::end_recording(Stream* stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(cuda_stream(stream), &graph), "cudaStreamEndCapture");
  const std::unique_ptr<CUgraph_st, decltype(&cudaGraphDestroy)> owned(graph, &cudaGraphDestroy);
  return std::make_unique<CudaRecording>(graph);
}

}  // namespace lockstep::cuda
