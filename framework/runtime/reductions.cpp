#include "runtime/reductions.hpp"

namespace lockstep {

Reductions::Reductions(Device& device, State& state, CommunicationThread& communication)
    : device_(device), state_(state), communication_(communication) {
  for (DeviceMemory& sum : state.shard_sums) levels_.push_back({sum.data()});
}

void Reductions::push_shard() {
  const int64_t count = state_.layout.gradient_elements();
  size_t level = 0;
  for (; levels_[level].occupied; ++level) {
    accumulate(count, 1, state_.gradients.data(), levels_[level].sum);
    levels_[level].occupied = false;
    LS_ASSERT(level + 1 < levels_.size());
  }
  accumulate(count, 0, levels_[level].sum, state_.gradients.data());
  levels_[level].occupied = true;
}

void Reductions::begin_last_shard(const Plan& plan, int64_t step) {
  plan_ = &plan;
  step_ = step;
  next_bucket_ = 0;
}

void Reductions::after_launch(size_t launch) {
  const std::vector<Bucket>& buckets = plan_->buckets;
  while (next_bucket_ < buckets.size() &&
         buckets[next_bucket_].after <= static_cast<int32_t>(launch)) {
    reduce_next_bucket();
  }
}

void Reductions::finish() {
  for (const auto& ticket : tickets_) communication_.wait(ticket);
  tickets_.clear();
  events_.clear();
  for (Level& level : levels_) level.occupied = false;
}

void Reductions::all_reduce(const Node& node, void* data) {
  const TensorType& type = node.outputs[0];
  communication_.wait(communication_.post_all_reduce(data, type.shape.numel(), type.dtype,
                                                     Memory::device, ready(), node.label));
}

// Earlier shards' sums are added and, with several ranks, the slice goes out.
void Reductions::reduce_next_bucket() {
  const Bucket& bucket = plan_->buckets[next_bucket_];
  float* const slice = state_.gradients.floats() + bucket.offset;
  for (const Level& level : levels_) {
    if (!level.occupied) continue;
    accumulate(bucket.count, 1, slice, reinterpret_cast<const float*>(level.sum) + bucket.offset);
  }
  if (communication_.world_size() > 1) {
    tickets_.push_back(
        communication_.post_all_reduce(slice, bucket.count, DType::f32, Memory::device, ready(),
                                       concat("bucket ", next_bucket_, " of step ", step_)));
  }
  ++next_bucket_;
}

// sum = keep * sum + added
void Reductions::accumulate(int64_t count, double keep, void* sum, const void* added) {
  std::unique_ptr<Kernel>& kernel = accumulate_[{count, keep}];
  if (kernel == nullptr) kernel = device_.prepare_accumulate(count, keep, 1);
  LS_ASSERT(kernel->workspace_bytes() == 0);
  kernel->launch({{&added, 1}, {&sum, 1}, nullptr, device_.compute_stream()});
}

// An event after everything enqueued so far; null on devices that have done it already.
Event* Reductions::ready() {
  Event* const event = device_.create_event();
  if (event != nullptr) {
    device_.record(event, device_.compute_stream());
    events_.push_back(std::unique_ptr<Event, EventDeleter>(event, {&device_}));
  }
  return event;
}

}  // namespace lockstep
