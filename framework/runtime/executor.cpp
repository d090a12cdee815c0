#include "runtime/executor.hpp"

namespace lockstep {
namespace {

constexpr int64_t kMetrics = 5;  // see classification_metrics
constexpr int64_t kMetricsBytes = kMetrics * size_of(DType::f64);

}  // namespace

MetricSums& MetricSums::operator+=(const MetricSums& other) {
  loss += other.loss, weight += other.weight, top1 += other.top1, top5 += other.top5;
  samples += other.samples;
  return *this;
}

Executor::Executor(Device& device, State& state, CommunicationThread& communication,
                   ExecutorOptions options)
    : device_(device),
      state_(state),
      wait_(device, communication),
      arenas_(device, state, wait_),
      reductions_(device, state, communication, options.travel_type),
      timer_(wait_),
      segments_(device, timer_, options.record) {}

MetricSums Executor::train_step(const StepContext& context,
                                const std::function<Shard(int64_t)>& next,
                                const std::function<void(const Batch&)>& release) {
  MetricSums sums;
  timer_.step([&] {
    begin_metrics(context.shards);
    for (int64_t k = 0; k < context.shards; ++k) {
      const auto [plan, batch] = next(k);
      const bool last = k + 1 == context.shards;
      if (last) reductions_.begin_last_shard(*plan, context.step);
      if (batch.samples == 0) {
        run(*plan, false, last);
        continue;
      }
      write_step_block(context, batch.samples);
      const bool copied = arenas_.upload(*plan, batch);
      if (copied) release(batch);
      run(*plan, true, last);
      enqueue_metrics(*plan);
      if (!last) reductions_.push_shard();
      if (copied) continue;
      arenas_.wait_for_upload();  // the launches are enqueued: the device is not kept waiting
      release(batch);
    }
    timer_.launch("waiting for other ranks", [&] { reductions_.finish(); });
    timer_.launch("update",
                  [&] { skipped_update_ = !update_->run(context.update, context.loss_scale); });
    sums = read_metrics();
  });
  return sums;
}

MetricSums Executor::evaluate(Plan& plan, const Batch& batch) {
  MetricSums sums;
  timer_.step([&] {
    begin_metrics(1);
    arenas_.upload(plan, batch);
    arenas_.update_constants(plan);
    run(plan, true, false);
    enqueue_metrics(plan);
    sums = read_metrics();
  });
  return sums;
}

std::vector<float> Executor::output(const Plan& plan, Role role) const {
  const ValueId value = plan.graph.find_output(role)->value;
  const TensorType& type = plan.graph.type(value);
  std::vector<float> values(static_cast<size_t>(type.shape.numel()));
  device_.copy_to_host(values.data(), arenas_.resolve(plan.memory.addresses.at(value)),
                       type.bytes(), device_.compute_stream());
  device_.synchronize(device_.compute_stream());
  return values;
}

// The run loop. A rank that has no samples in a shard still takes part in its collectives, with
// zeros.
void Executor::run(const Plan& plan, bool has_samples, bool last_shard) {
  BoundPlan& bound = arenas_.bound(plan);
  const auto fill_zero = [&](void* data, int64_t bytes) {
    device_.fill_zero(data, bytes, device_.compute_stream());
  };
  if (!has_samples && last_shard) fill_zero(state_.gradients.data(), state_.gradients.bytes());
  for (Segment& segment : bound.segments) {
    if (segment.is_all_reduce) {
      const Node& node = plan.node(plan.launches[segment.begin]);
      void* const data = bound.launches[segment.begin].outputs[0];
      if (!has_samples) fill_zero(data, node.outputs[0].bytes());
      reductions_.all_reduce(node, data);
    } else if (has_samples) {
      segments_.launch(plan, bound.launches, arenas_.workspace(), segment);
    }
    if (last_shard) reductions_.after_launch(segment.end - 1);
  }
}

void Executor::write_step_block(const StepContext& context, int64_t samples) {
  const auto total = static_cast<double>(context.global_samples);
  StepBlock block;
  block.random_key[0] = static_cast<int64_t>(context.seed);
  block.random_key[1] = context.epoch;
  block.loss_scale = static_cast<float>((context.loss_scale == 0 ? 1 : context.loss_scale) / total);
  block.shard_fraction = static_cast<float>(static_cast<double>(samples) / total);
  block.update = context.update;
  device_.copy_to_device(state_.step.data(), &block, sizeof block, device_.compute_stream());
}

void Executor::begin_metrics(int64_t shards) {
  metrics_count_ = 0;
  if (metrics_.bytes() < shards * kMetricsBytes) {
    metrics_ = HostMemory(device_, shards * kMetricsBytes);
  }
}

// The next run overwrites a plan's metrics, so they are copied behind it and read when all are
// there.
void Executor::enqueue_metrics(const Plan& plan) {
  device_.copy_to_host(metrics_.data() + metrics_count_ * kMetricsBytes,
                       arenas_.resolve(plan.metrics), kMetricsBytes, device_.compute_stream());
  ++metrics_count_;
}

MetricSums Executor::read_metrics() {
  wait_.for_launches("metrics");
  arenas_.release_batch();
  MetricSums sums;
  const auto* values = reinterpret_cast<const double*>(metrics_.data());
  for (int64_t k = 0; k < metrics_count_; ++k, values += kMetrics) {
    sums += {values[0], values[1], values[2], values[3], values[4]};
  }
  return sums;
}

}  // namespace lockstep
