// Runs plans: the loop over launches, the shards of a step, and the all-reduce beside backward.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/batch.hpp"
#include "plan/plan.hpp"
#include "plan/state.hpp"
#include "runtime/communication_thread.hpp"

namespace lockstep {

// Sums over samples, as classification_metrics gives them.
struct MetricSums {
  double loss = 0;
  double weight = 0;
  double top1 = 0;
  double top5 = 0;
  MetricSums& operator+=(const MetricSums& other);
};

// What is to be done with the gradients after the last shard.
struct UpdatePlan {
  std::string optimizer_name;
  std::vector<UpdateGroup> groups;
  std::vector<UpdateSegment> segments;
  double clip_grad_norm = 0;  // 0: off
};

// Time spent in launches, by launch label; only collected when asked for.
struct LaunchTimes {
  double step_seconds = 0;    // wall time of whole steps
  double launch_seconds = 0;  // sum over launches
  int64_t steps = 0;
  std::map<std::string, std::pair<double, int64_t>> by_label;  // seconds, launches
};

class Executor {
 public:
  Executor(Device& device, State& state, CommunicationThread& communication);
  ~Executor();

  // Makes room for the plan's activations, workspace and batch and resolves its addresses. The plan
  // must outlive the executor; plans share these arenas.
  void attach(Plan& plan, const Shape& image);
  void prepare_update(const UpdatePlan& update);

  // One training step over this rank's shards: for each, forward and backward; gradients are summed
  // over shards and ranks, buckets overlapping with the last backward; then the update. `next`
  // gives shard k's batch and is told when it has been copied. Shards without samples take part in
  // the collectives alone.
  struct Shard {
    Plan* plan;   // of its size; for an empty shard any training plan
    Batch batch;  // samples = 0: empty
  };
  struct StepContext {
    StepInfo update;
    int64_t step = 1;
    int64_t epoch = 1;
    uint64_t seed = 0;
    int64_t global_samples = 0;
    int64_t shards = 1;
  };
  // Returns this rank's metric sums over its shards, before the update.
  MetricSums train_step(const StepContext& context, const std::function<Shard(int64_t)>& next,
                        const std::function<void(const Batch&)>& release);

  // One evaluation batch; logits(), if wanted, are valid until the next run.
  MetricSums evaluate(Plan& plan, const Batch& batch);
  std::vector<float> logits(const Plan& plan) const;

  void collect_times(bool on);
  const LaunchTimes& times() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
