#include "runtime/executor.hpp"

#include <chrono>

#include "runtime/bound_plan.hpp"
#include "runtime/update.hpp"

namespace lockstep {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

MetricSums& MetricSums::operator+=(const MetricSums& other) {
  loss += other.loss, weight += other.weight, top1 += other.top1, top5 += other.top5;
  return *this;
}

class Executor::Impl {
 public:
  Impl(Device& device, State& state, CommunicationThread& communication)
      : device_(device), state_(state), communication_(communication), arenas_(device, state) {}

  void attach(Plan& plan, const Shape& image) { arenas_.attach(plan, image); }

  void prepare_update(const UpdatePlan& update) {
    update_ = std::make_unique<Update>(device_, state_, update);
  }

  MetricSums train_step(const StepContext& context, const std::function<Shard(int64_t)>& next,
                        const std::function<void(const Batch&)>& release) {
    const double started = now();
    MetricSums sums;
    for (int64_t k = 0; k < context.shards; ++k) {
      const Shard shard = next(k);
      const bool last = k + 1 == context.shards;
      if (shard.batch.samples > 0) {
        write_step_block(context, shard.batch.samples);
        arenas_.upload(*shard.plan, shard.batch);
        release(shard.batch);
        run(*shard.plan, last ? &context : nullptr);
        sums += read_metrics(*shard.plan);
        if (!last) update_->push_shard();
      } else {
        run_without_samples(*shard.plan, last ? &context : nullptr);
      }
    }
    for (const auto& ticket : reductions_) communication_.wait(ticket);
    reductions_.clear();
    events_.clear();
    timed("update", [&] { update_->run(context.update); });
    times_.step_seconds += now() - started;
    ++times_.steps;
    return sums;
  }

  MetricSums evaluate(Plan& plan, const Batch& batch) {
    arenas_.upload(plan, batch);
    run(plan, nullptr);
    return read_metrics(plan);
  }

  std::vector<float> logits(const Plan& plan) const {
    const int64_t classes = plan.graph.type(plan.graph.find_output(Role::logits)->value).shape[1];
    std::vector<float> values(static_cast<size_t>(plan.batch_size * classes));
    read(plan.logits, values.data(), static_cast<int64_t>(values.size()) * size_of(DType::f32));
    return values;
  }

  bool collects_times = false;
  LaunchTimes times_;

 private:
  // The run loop. With a context, this is the step's last shard: its buckets go out as they fill.
  void run(const Plan& plan, const StepContext* context) {
    const std::vector<BoundLaunch>& launches = arenas_.bound(plan);
    size_t bucket = 0;
    for (size_t i = 0; i < launches.size(); ++i) {
      const Launch& launch = plan.launches[i];
      if (launch.kernel == nullptr) {
        all_reduce(plan, launch, launches[i]);
      } else {
        launch_kernel(plan, launch, launches[i]);
      }
      if (context == nullptr) continue;
      for (; bucket < plan.buckets.size() && plan.buckets[bucket].after <= static_cast<int32_t>(i);
           ++bucket) {
        reduce(plan.buckets[bucket], bucket, *context);
      }
    }
  }

  // A rank that has no samples in a shard still takes part in its collectives, with zeros.
  void run_without_samples(const Plan& plan, const StepContext* context) {
    const std::vector<BoundLaunch>& launches = arenas_.bound(plan);
    for (size_t i = 0; i < launches.size(); ++i) {
      if (plan.launches[i].kernel != nullptr) continue;
      const int64_t bytes = plan.node(plan.launches[i]).outputs[0].bytes();
      device_.fill_zero(launches[i].outputs[0], bytes, device_.compute_stream());
      all_reduce(plan, plan.launches[i], launches[i]);
    }
    if (context == nullptr) return;
    device_.fill_zero(state_.gradients.data(), state_.gradients.bytes(), device_.compute_stream());
    for (size_t i = 0; i < plan.buckets.size(); ++i) reduce(plan.buckets[i], i, *context);
  }

  void launch_kernel(const Plan& plan, const Launch& launch, const BoundLaunch& bound) {
    try {
      timed(plan.node(launch).label, [&] {
        launch.kernel->launch(
            {bound.inputs, bound.outputs, arenas_.workspace(), device_.compute_stream()});
      });
    } catch (Error& error) {
      throw error.add_context(concat(plan.node(launch).label, " (", plan.node(launch).op, ")"));
    }
  }

  // A collective in the middle of the graph: what follows needs its result.
  void all_reduce(const Plan& plan, const Launch& launch, const BoundLaunch& bound) {
    const Node& node = plan.node(launch);
    const TensorType& type = node.outputs[0];
    communication_.wait(communication_.post_all_reduce(bound.outputs[0], type.shape.numel(),
                                                       type.dtype, ready(), node.label));
  }

  // A full bucket: earlier shards' sums are added and, with several ranks, the slice goes out.
  void reduce(const Bucket& bucket, size_t number, const StepContext& context) {
    update_->merge_shards(bucket);
    if (communication_.world_size() == 1) return;
    reductions_.push_back(communication_.post_all_reduce(
        state_.gradients.floats() + bucket.offset, bucket.count, DType::f32, ready(),
        concat("bucket ", number, " of step ", context.step)));
  }

  // An event after everything enqueued so far; null on devices that have done it already.
  Event* ready() {
    Event* event = device_.create_event();
    if (event != nullptr) {
      device_.record(event, device_.compute_stream());
      events_.push_back(std::unique_ptr<Event, EventDeleter>(event, {&device_}));
    }
    return event;
  }

  void write_step_block(const StepContext& context, int64_t samples) {
    const auto total = static_cast<double>(context.global_samples);
    StepBlock block;
    block.random_key[0] = static_cast<int64_t>(context.seed);
    block.random_key[1] = context.epoch;
    block.loss_scale = static_cast<float>(1.0 / total);
    block.shard_fraction = static_cast<float>(static_cast<double>(samples) / total);
    block.update = context.update;
    device_.copy_to_device(state_.step.data(), &block, sizeof block, device_.compute_stream());
  }

  MetricSums read_metrics(const Plan& plan) const {
    double values[4];
    read(plan.metrics, values, sizeof values);
    return {values[0], values[1], values[2], values[3]};
  }

  void read(const Address& address, void* host, int64_t bytes) const {
    device_.copy_to_host(host, arenas_.resolve(address), bytes, device_.compute_stream());
    device_.synchronize(device_.compute_stream());
  }

  template <class F>
  void timed(const std::string& label, const F& work) {
    if (!collects_times) return work();
    const double started = now();
    work();
    device_.synchronize(device_.compute_stream());
    const double seconds = now() - started;
    auto& [total, count] = times_.by_label[label];
    total += seconds, ++count;
    times_.launch_seconds += seconds;
  }

  struct EventDeleter {
    Device* device;
    void operator()(Event* event) const { device->destroy_event(event); }
  };

  Device& device_;
  State& state_;
  CommunicationThread& communication_;
  BoundArenas arenas_;
  std::unique_ptr<Update> update_;
  std::vector<CommunicationThread::Ticket> reductions_;
  std::vector<std::unique_ptr<Event, EventDeleter>> events_;
};

Executor::Executor(Device& device, State& state, CommunicationThread& communication)
    : impl_(std::make_unique<Impl>(device, state, communication)) {}
Executor::~Executor() = default;
void Executor::attach(Plan& plan, const Shape& image) { impl_->attach(plan, image); }
void Executor::prepare_update(const UpdatePlan& update) { impl_->prepare_update(update); }
MetricSums Executor::train_step(const StepContext& context,
                                const std::function<Shard(int64_t)>& next,
                                const std::function<void(const Batch&)>& release) {
  return impl_->train_step(context, next, release);
}
MetricSums Executor::evaluate(Plan& plan, const Batch& batch) {
  return impl_->evaluate(plan, batch);
}
std::vector<float> Executor::logits(const Plan& plan) const { return impl_->logits(plan); }
void Executor::collect_times(bool on) { impl_->collects_times = on; }
const LaunchTimes& Executor::times() const { return impl_->times_; }

}  // namespace lockstep
