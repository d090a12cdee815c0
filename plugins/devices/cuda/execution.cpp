#include "execution.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "check.hpp"

namespace lockstep::cuda {

ExecutionPlan::ExecutionPlan(Descriptor plan, std::string implementation)
    : plan_(std::move(plan)),
      implementation_(std::move(implementation)),
      workspace_bytes_(plan_.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)) {}

void Runner::run(cudnnHandle_t handle, cudaStream_t stream, std::span<const Argument> arguments,
                 void* workspace) {
  const auto is_same = [&] {
    if (memory_.size() != arguments.size() + 1 || memory_.back() != workspace) return false;
    return std::equal(arguments.begin(), arguments.end(), memory_.begin(),
                      [](const Argument& a, const void* memory) { return a.memory == memory; });
  };
  if (!is_same()) {
    memory_.clear();
    std::vector<int64_t> numbers;
    for (const Argument& argument : arguments) {
      memory_.push_back(argument.memory);
      numbers.push_back(argument.number);
    }
    variant_ = Descriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    variant_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, numbers);
    variant_.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, std::span<const void* const>(memory_));
    variant_.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace).finalize("variant pack");
    memory_.push_back(workspace);
  }
  check(cudnnSetStream(handle, stream), "cudnnSetStream");
  check(cudnnBackendExecute(handle, plan_->descriptor().raw(), variant_.raw()),
        "cudnnBackendExecute");
}

namespace {

// Memory for every tensor of a graph, zero, and a stream; freed when done.
class Trial {
 public:
  // Delegates, so that what is there goes where the rest fails.
  Trial(cudnnHandle_t handle, const OperationGraph& graph, int64_t workspace_bytes) : Trial() {
    handle_ = handle;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    for (cudaEvent_t& event : events) check(cudaEventCreate(&event), "cudaEventCreate");
    for (const GraphTensor& tensor : graph.tensors) {
      arguments.push_back({tensor.number, allocate(tensor.bytes)});
    }
    for (const GraphScalar& scalar : graph.scalars) {
      arguments.push_back({scalar.number, &scalar.value});
    }
    workspace = allocate(workspace_bytes);
  }
  ~Trial() {
    cudnnSetStream(handle_, nullptr);  // this one's goes
    for (void* memory : memory_) cudaFree(memory);
    for (cudaEvent_t event : events) {
      if (event != nullptr) cudaEventDestroy(event);
    }
    if (stream != nullptr) cudaStreamDestroy(stream);
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  cudaStream_t stream = nullptr;
  cudaEvent_t events[2] = {};
  std::vector<Argument> arguments;
  void* workspace = nullptr;

 private:
  Trial() = default;
  void* allocate(int64_t bytes) {
    void* memory = nullptr;
    const auto size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
    const cudaError_t status = cudaMalloc(&memory, size);
    if (status == cudaErrorMemoryAllocation) (void)cudaGetLastError();
    check(status, "cudaMalloc for measuring");
    memory_.push_back(memory);
    check(cudaMemsetAsync(memory, 0, size, stream), "cudaMemsetAsync");
    return memory;
  }

  cudnnHandle_t handle_ = nullptr;
  std::vector<void*> memory_;
};

}  // namespace

double measure(cudnnHandle_t handle, const OperationGraph& graph,
               std::shared_ptr<const ExecutionPlan> plan) {
  constexpr int kRuns = 4;  // the first warms up
  Trial trial(handle, graph, plan->workspace_bytes());
  Runner runner(std::move(plan));
  double least = 0;
  for (int run = 0; run < kRuns; ++run) {
    check(cudaEventRecord(trial.events[0], trial.stream), "cudaEventRecord");
    runner.run(handle, trial.stream, trial.arguments, trial.workspace);
    check(cudaEventRecord(trial.events[1], trial.stream), "cudaEventRecord");
    check(cudaEventSynchronize(trial.events[1]), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, trial.events[0], trial.events[1]),
          "cudaEventElapsedTime");
    if (run == 1 || (run > 1 && milliseconds < least)) least = milliseconds;
  }
  return least;
}

}  // namespace lockstep::cuda
