// A planned graph, and running it.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cudnn.hpp"

namespace lockstep::cuda {

// An engine with its settings for one graph, ready to run.
class ExecutionPlan {
 public:
  ExecutionPlan(Descriptor plan, std::string implementation);

  int64_t workspace_bytes() const { return workspace_bytes_; }
  // "cudnn engine 38, tensor cores"
  const std::string& implementation() const { return implementation_; }
  const Descriptor& descriptor() const { return plan_; }

 private:
  Descriptor plan_;
  std::string implementation_;
  int64_t workspace_bytes_;
};

// A plan with the addresses it was last run with.
class Runner {
 public:
  Runner() = default;
  explicit Runner(std::shared_ptr<const ExecutionPlan> plan) : plan_(std::move(plan)) {}

  const ExecutionPlan& plan() const { return *plan_; }
  // Enqueues on the stream. Allocates only where addresses differ from those of the last run.
  void run(cudnnHandle_t handle, cudaStream_t stream, std::span<const Argument> arguments,
           void* workspace);

 private:
  std::shared_ptr<const ExecutionPlan> plan_;
  Descriptor variant_;
  std::vector<const void*> memory_;  // of variant_, the workspace last
};

// How long the plan takes on the current GPU with memory of its own, in milliseconds: the least of
// a few runs. Throws Error{device} where there is no room for the graph's tensors.
double measure(cudnnHandle_t handle, const OperationGraph& graph,
               std::shared_ptr<const ExecutionPlan> plan);

}  // namespace lockstep::cuda
