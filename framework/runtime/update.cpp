#include "runtime/update.hpp"

#include <algorithm>
#include <cmath>

#include "plan/step_block.hpp"

namespace lockstep {

Update::Update(Device& device, State& state, HostWait& wait, const UpdatePlan& plan)
    : device_(device), state_(state), wait_(wait), clip_grad_norm_(plan.clip_grad_norm) {
  optimizer_ = device.prepare_update(
      {plan.optimizer_name, plan.groups, plan.segments, plan.optimizer_plugin});
  squared_norm_ = device.prepare_squared_norm(state.layout.trainable_elements);
  squared_norm_result_ = DeviceMemory(device, sizeof(double));
  squared_norm_on_host_ = HostMemory(device, sizeof(double));
  prepare_statistics();
  int64_t workspace = std::max(optimizer_->workspace_bytes(), squared_norm_->workspace_bytes());
  for (const auto& [offset, kernel] : statistics_) {
    workspace = std::max(workspace, kernel->workspace_bytes());
  }
  workspace_ = DeviceMemory(device, workspace);
}

void Update::prepare_statistics() {
  const std::vector<BufferSlot>& buffers = state_.layout.buffers;
  const int64_t end = state_.layout.statistic_elements;
  for (size_t i = 0; i < buffers.size() && buffers[i].offset < end;) {
    const int64_t first = buffers[i].offset;
    const double momentum = buffers[i].attributes.momentum;
    while (i < buffers.size() && buffers[i].offset < end &&
           buffers[i].attributes.momentum == momentum) {
      ++i;
    }
    const int64_t last = i < buffers.size() ? std::min(buffers[i].offset, end) : end;
    statistics_.push_back(
        {first, device_.prepare_accumulate(last - first, 1 - momentum, momentum)});
  }
}

bool Update::run(StepInfo step, double loss_scale) {
  const bool scaled = loss_scale != 0;
  const bool clips = clip_grad_norm_ > 0;
  // The same on all ranks, for the gradients are.
  const double norm = scaled || clips ? gradient_norm() / (scaled ? loss_scale : 1) : 0;
  // PyTorch's clip_grad_norm_: the factor is at most 1, with 1e-6 against a zero norm.
  const double factor = clips ? std::min(clip_grad_norm_ / (norm + 1e-6), 1.0) : 1;
  step.gradient_scale = static_cast<float>(scaled ? factor / loss_scale : factor);
  const bool updates = !scaled || std::isfinite(norm);
  if (updates) update_parameters(step);

  const float* const shares = state_.gradients.floats() + state_.layout.trainable_elements;
  for (const auto& [offset, kernel] : statistics_) {
    launch(*kernel, {shares + offset}, {state_.buffers.floats() + offset});
  }
  state_.changed();
  return updates;
}

void Update::update_parameters(const StepInfo& step) {
  std::byte* const info = state_.step.data() + offsetof(StepBlock, update);
  device_.copy_to_device(info, &step, sizeof step, device_.compute_stream());

  std::vector<void*> outputs{state_.parameters.data()};
  for (const DeviceMemory& slot : state_.slots) outputs.push_back(slot.data());
  launch(*optimizer_, {state_.gradients.data(), info}, std::move(outputs));
}

double Update::gradient_norm() {
  launch(*squared_norm_, {state_.gradients.data()}, {squared_norm_result_.data()});
  device_.copy_to_host(squared_norm_on_host_.data(), squared_norm_result_.data(), sizeof(double),
                       device_.compute_stream());
  wait_.for_launches("gradient norm");
  return std::sqrt(*reinterpret_cast<const double*>(squared_norm_on_host_.data()));
}

void Update::launch(Kernel& kernel, std::vector<const void*> inputs, std::vector<void*> outputs) {
  kernel.launch({inputs, outputs, workspace_.data(), device_.compute_stream()});
}

}  // namespace lockstep
