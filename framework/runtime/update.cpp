#include "runtime/update.hpp"

#include <algorithm>
#include <cmath>

#include "plan/step_block.hpp"

namespace lockstep {

Update::Update(Device& device, State& state, const UpdatePlan& plan)
    : device_(device), state_(state), clip_grad_norm_(plan.clip_grad_norm) {
  optimizer_ = device.prepare_update({plan.optimizer_name, plan.groups, plan.segments});
  squared_norm_ = device.prepare_squared_norm(state.layout.trainable_elements);
  squared_norm_result_ = DeviceMemory(device, sizeof(double));
  workspace_ = DeviceMemory(
      device, std::max(optimizer_->workspace_bytes(), squared_norm_->workspace_bytes()));
  for (DeviceMemory& sum : state.shard_sums) levels_.push_back({sum.data()});
}

void Update::push_shard() {
  const int64_t count = state_.layout.gradient_elements();
  size_t level = 0;
  for (; levels_[level].occupied; ++level) {
    launch(accumulate(count, 1, 1), {levels_[level].sum}, {state_.gradients.data()});
    levels_[level].occupied = false;
    LS_ASSERT(level + 1 < levels_.size());
  }
  launch(accumulate(count, 0, 1), {state_.gradients.data()}, {levels_[level].sum});
  levels_[level].occupied = true;
}

void Update::merge_shards(const Bucket& bucket) {
  const int64_t offset = bucket.offset * size_of(DType::f32);
  for (const Level& level : levels_) {
    if (!level.occupied) continue;
    launch(accumulate(bucket.count, 1, 1), {level.sum + offset},
           {state_.gradients.data() + offset});
  }
}

void Update::run(StepInfo step) {
  for (Level& level : levels_) level.occupied = false;
  if (clip_grad_norm_ > 0) {
    // PyTorch's clip_grad_norm_: the factor is at most 1, with 1e-6 against a zero norm.
    const double factor = clip_grad_norm_ / (gradient_norm() + 1e-6);
    step.gradient_scale = static_cast<float>(std::min(factor, 1.0));
  }
  std::byte* const info = state_.step.data() + offsetof(StepBlock, update);
  device_.copy_to_device(info, &step, sizeof step, device_.compute_stream());

  std::vector<void*> outputs{state_.parameters.data()};
  for (const DeviceMemory& slot : state_.slots) outputs.push_back(slot.data());
  launch(*optimizer_, {state_.gradients.data(), info}, std::move(outputs));

  // Neighbouring buffers with the same momentum are updated together, gaps of alignment included.
  const ParameterLayout& layout = state_.layout;
  for (size_t i = 0;
       i < layout.buffers.size() && layout.buffers[i].offset < layout.statistic_elements;) {
    const BufferSlot& first = layout.buffers[i];
    const double momentum = first.attributes.momentum;
    while (i < layout.buffers.size() && layout.buffers[i].offset < layout.statistic_elements &&
           layout.buffers[i].attributes.momentum == momentum) {
      ++i;
    }
    const int64_t end =
        i < layout.buffers.size() && layout.buffers[i].offset < layout.statistic_elements
            ? layout.buffers[i].offset
            : layout.statistic_elements;
    launch(accumulate(end - first.offset, 1 - momentum, momentum),
           {state_.gradients.floats() + layout.trainable_elements + first.offset},
           {state_.buffers.floats() + first.offset});
  }
}

double Update::gradient_norm() {
  launch(*squared_norm_, {state_.gradients.data()}, {squared_norm_result_.data()});
  double squared = 0;
  device_.copy_to_host(&squared, squared_norm_result_.data(), sizeof squared,
                       device_.compute_stream());
  device_.synchronize(device_.compute_stream());
  return std::sqrt(squared);
}

void Update::launch(Kernel& kernel, std::vector<const void*> inputs, std::vector<void*> outputs) {
  kernel.launch({inputs, outputs, workspace_.data(), device_.compute_stream()});
}

Kernel& Update::accumulate(int64_t count, double keep, double add) {
  for (Accumulate& known : accumulate_) {
    if (known.count == count && known.keep == keep && known.add == add) return *known.kernel;
  }
  accumulate_.push_back({count, keep, add, device_.prepare_accumulate(count, keep, add)});
  return *accumulate_.back().kernel;
}

}  // namespace lockstep
