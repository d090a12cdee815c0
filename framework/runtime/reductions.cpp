#include "runtime/reductions.hpp"

#include <algorithm>

namespace lockstep {

Reductions::Reductions(Device& device, State& state, CommunicationThread& communication,
                       DType travel_type)
    : device_(device),
      state_(state),
      communication_(communication),
      compression_(device, communication.world_size() > 1 ? travel_type : DType::f32,
                   state.gradients.bytes() > 0 ? state.layout.trainable_elements : 0) {
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
  if (!compression_.is_on()) return;
  for (const Bucket& bucket : plan.buckets) {
    const int64_t count = compressed(bucket);
    if (count > 0) compression_.prepare(plan.graph.ops(), count);
  }
}

void Reductions::after_launch(size_t launch) {
  const std::vector<Bucket>& buckets = plan_->buckets;
  while (next_bucket_ < buckets.size() &&
         buckets[next_bucket_].after <= static_cast<int32_t>(launch)) {
    reduce_next_bucket();
  }
}

void Reductions::finish() {
  Event* behind_last = nullptr;  // the communication stream runs them one after the other
  for (const auto& ticket : tickets_) behind_last = communication_.wait_in_order(ticket);
  if (behind_last != nullptr) device_.wait(device_.compute_stream(), behind_last);
  if (compression_.is_on()) {
    for (const Bucket& bucket : plan_->buckets) {
      const int64_t count = compressed(bucket);
      if (count > 0) compression_.widen(state_.gradients.floats(), bucket.offset, count);
    }
  }
  tickets_.clear();
  events_.clear();
  for (Level& level : levels_) level.occupied = false;
}

void Reductions::all_reduce(const Node& node, void* data) {
  if (communication_.world_size() == 1) return;
  const TensorType& type = node.outputs[0];
  const auto ticket = communication_.post_all_reduce(data, type.shape.numel(), type.dtype,
                                                     Memory::device, ready(), node.label);
  Event* const behind = communication_.wait_in_order(ticket);
  if (behind != nullptr) device_.wait(device_.compute_stream(), behind);
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
    const int64_t count = compressed(bucket);
    void* const compressed =
        count == 0 ? nullptr
                   : compression_.compress(state_.gradients.floats(), bucket.offset, count);
    Event* const all_there = ready();  // the second of two comes behind the first
    if (count > 0) post(compressed, count, compression_.type(), all_there);
    if (count < bucket.count) {
      post(slice + count, bucket.count - count, DType::f32, count > 0 ? nullptr : all_there);
    }
  }
  ++next_bucket_;
}

void Reductions::post(void* data, int64_t count, DType type, Event* after) {
  tickets_.push_back(
      communication_.post_all_reduce(data, count, type, Memory::device, after,
                                     concat("bucket ", next_bucket_, " of step ", step_)));
}

// How many of its elements are compressed: gradients; what follows them are statistics.
int64_t Reductions::compressed(const Bucket& bucket) const {
  const int64_t gradients = state_.layout.trainable_elements - bucket.offset;
  return compression_.is_on() ? std::clamp<int64_t>(gradients, 0, bucket.count) : 0;
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
