// Runs plans: the loop over launches, the shards of a step, and the all-reduce beside backward.
//
// The host runs ahead of an asynchronous device: everything of a step is enqueued, and the host
// waits once, for the step's metrics.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "data/batch.hpp"
#include "plan/plan.hpp"
#include "plan/state.hpp"
#include "runtime/bound_plan.hpp"
#include "runtime/communication_thread.hpp"
#include "runtime/host_wait.hpp"
#include "runtime/launch_timer.hpp"
#include "runtime/reductions.hpp"
#include "runtime/segments.hpp"
#include "runtime/update.hpp"

namespace lockstep {

// Sums over samples, as classification_metrics gives them.
struct MetricSums {
  double loss = 0;  // times weight
  double weight = 0;
  double top1 = 0;  // hits
  double top5 = 0;
  double samples = 0;  // with a weight
  MetricSums& operator+=(const MetricSums& other);
};

struct ExecutorOptions {
  bool record = true;              // what a plan launches between collectives, where the device can
  DType travel_type = DType::f32;  // of gradients between ranks: f32 or bf16
};

class Executor {
 public:
  Executor(Device& device, State& state, CommunicationThread& communication,
           ExecutorOptions options = {});

  // Makes room for the plan's activations, workspace and batch and resolves its addresses. The plan
  // must outlive the executor; plans share these arenas.
  void attach(Plan& plan, const Shape& image) { arenas_.attach(plan, image); }
  int64_t arena_bytes() const { return arenas_.bytes(); }  // of activations, workspace and batch
  void prepare_update(const UpdatePlan& update) { update_.emplace(device_, state_, wait_, update); }

  // One training step over this rank's shards: for each, forward and backward; gradients are summed
  // over shards and ranks, buckets overlapping with the last backward; then the update. `next`
  // gives shard k's batch; `release` is told when it has been copied. Shards without samples take
  // part in the collectives alone.
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
    // fp16: what the loss is multiplied with. Gradients are divided by it before use; where one of
    // them, summed over all ranks, is not finite, no parameter changes. 0: off.
    double loss_scale = 0;
  };
  // Returns this rank's metric sums over its shards, before the update.
  MetricSums train_step(const StepContext& context, const std::function<Shard(int64_t)>& next,
                        const std::function<void(const Batch&)>& release);

  // Whether the last train_step changed no parameter, since a gradient was not finite.
  bool skipped_update() const { return skipped_update_; }

  // One evaluation batch; its outputs may be read until the next run.
  MetricSums evaluate(Plan& plan, const Batch& batch);
  // An f32 output of the plan's last run: Role::logits, (N, classes), or Role::features, (N, F).
  std::vector<float> output(const Plan& plan, Role role) const;

  void collect_times(bool on) { timer_.turn(on); }
  const LaunchTimes& times() const { return timer_.times(); }

 private:
  void run(const Plan& plan, bool has_samples, bool last_shard);
  void write_step_block(const StepContext& context, int64_t samples);
  void begin_metrics(int64_t shards);
  void enqueue_metrics(const Plan& plan);
  MetricSums read_metrics();

  Device& device_;
  State& state_;
  HostWait wait_;
  BoundArenas arenas_;
  Reductions reductions_;
  std::optional<Update> update_;
  bool skipped_update_ = false;
  LaunchTimer timer_;
  SegmentLauncher segments_;
  HostMemory metrics_;  // f64(5) of every shard of a step, in order
  int64_t metrics_count_ = 0;
};

}  // namespace lockstep
