// Chooses how cuDNN executes a graph: asks its heuristics for engines, leaves out those that the
// options forbid and those that want too much workspace, and takes the first that can be planned
// or, with autotune, the fastest of the first few. What was chosen is kept in the plan cache.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "execution.hpp"
#include "gpus.hpp"
#include "plan_cache.hpp"

namespace lockstep::cuda {

struct PlannerOptions {
  bool deterministic = true;
  bool tf32 = true;
  bool autotune = true;
  // More than a gigabyte for one launch buys little, and all launches share the largest.
  int64_t most_workspace_bytes = int64_t{1} << 30;
};

class Planner {
 public:
  // For the GPU of a handle.
  Planner(cudnnHandle_t handle, const GpuProperties& gpu, const PlannerOptions& options);
  // For a described GPU, that need not be there.
  Planner(const std::string& description, const GpuProperties& gpu, const PlannerOptions& options);
  virtual ~Planner() = default;

  // Equal graphs get the same plan. Throws Error{device} that says why no engine can run the graph.
  virtual std::shared_ptr<const ExecutionPlan> plan(const OperationGraph& graph);
  // Calls watch(label, null) before and watch(label, plan) after planning each graph that this
  // planner has not met: whoever tests plans learns what they are, and at which one cuDNN crashed.
  using Watch = std::function<void(const std::string& label, const ExecutionPlan* plan)>;
  void watch(Watch watch) { watch_ = std::move(watch); }
  // The plan of the first graph that has one; null: none has, and debug lines say why.
  std::shared_ptr<const ExecutionPlan> plan_first(std::span<const OperationGraph> graphs);

 private:
  using Plan = std::shared_ptr<const ExecutionPlan>;

  Plan load(const PlanKey& key) const;
  Descriptor new_plan() const;
  Plan load_or_choose(const OperationGraph& graph, const std::string& text);
  // The plan to take, and whether it is to stay: not where measuring was meant and failed.
  struct Choice {
    Plan plan;
    bool is_to_stay;
  };
  Choice choose(const OperationGraph& graph) const;
  double time_or_infinity(const OperationGraph& graph, const Plan& plan) const;
  std::vector<Descriptor> engines(const Descriptor& graph, cudnnBackendHeurMode_t mode) const;
  std::vector<Plan> candidates(const OperationGraph& graph, size_t most,
                               std::string& refusals) const;
  Plan plan_engine(const Descriptor& configuration, const OperationGraph& graph) const;
  bool tunes() const;

  cudnnHandle_t handle_ = nullptr;
  Descriptor properties_;  // where there is no handle
  GpuProperties gpu_;
  PlannerOptions options_;
  PlanCache cache_;
  std::map<std::string, Plan> plans_;  // by the graph's text
  std::map<std::string, std::string> refused_;
  Watch watch_ = [](const std::string&, const ExecutionPlan*) {};
};

}  // namespace lockstep::cuda
