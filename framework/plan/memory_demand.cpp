#include "plan/memory_demand.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/text.hpp"
#include "plan/state.hpp"

namespace lockstep {
namespace {

std::string list(std::initializer_list<std::pair<const char*, int64_t>> parts) {
  std::string text;
  for (const auto& [name, bytes] : parts) {
    if (bytes > 0) text += concat(text.empty() ? "" : ", ", name, ' ', bytes_text(bytes));
  }
  return text;
}

}  // namespace

StateDemand state_demand(const ParameterLayout& layout, int optimizer_slots, int64_t shards,
                         bool training) {
  constexpr int64_t kBytes = size_of(DType::f32);
  StateDemand demand{.parameters = layout.parameter_elements * kBytes,
                     .buffers = layout.buffer_elements * kBytes};
  if (!training) return demand;
  demand.gradients = layout.gradient_elements() * kBytes;
  demand.optimizer = optimizer_slots * layout.parameter_elements * kBytes;
  demand.shard_sums = sum_levels(shards) * demand.gradients;
  return demand;
}

PlanDemand plan_demand(const PlanRequest& request, const Registry& registry, const Device& device,
                       const ParameterLayout& layout) {
  const PlanShape shape = shape_plan(request, registry, device, layout);
  return {.activations = shape.memory.peak_bytes,
          .batch = batch_layout(request.batch_size, request.sample()).bytes};
}

PlanDemand plan_demand(const Plan& plan, const Shape& sample) {
  return {.activations = plan.memory.peak_bytes,
          .batch = batch_layout(plan.batch_size, sample).bytes,
          .workspace = plan.workspace_bytes,
          .constants = plan.constant_bytes};
}

std::string text_of(const StateDemand& demand) {
  return list({{"parameters", demand.parameters},
               {"gradients", demand.gradients},
               {"optimizer", demand.optimizer},
               {"buffers", demand.buffers},
               {"sums over shards", demand.shard_sums}});
}

std::string text_of(const PlanDemand& demand) {
  return list({{"activations", demand.activations},
               {"workspace", demand.workspace},
               {"constants", demand.constants},
               {"batch", demand.batch}});
}

std::vector<std::string> largest_activations(const Plan& plan, size_t count) {
  std::vector<std::pair<int64_t, ValueId>> values;
  for (const auto& [value, address] : plan.memory.addresses) {
    if (address.arena == Arena::activations)
      values.emplace_back(plan.graph.type(value).bytes(), value);
  }
  std::stable_sort(values.begin(), values.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  if (values.size() > count) values.resize(count);
  std::vector<std::string> lines;
  for (const auto& [bytes, value] : values) {
    lines.push_back(concat(plan.graph.node(value).label, ' ', plan.graph.type(value).text(), ' ',
                           bytes_text(bytes)));
  }
  return lines;
}

int64_t largest_fitting(int64_t most, const std::function<bool(int64_t)>& fits) {
  int64_t fitting = 0, failing = most + 1;
  while (failing - fitting > 1) {
    const int64_t middle = fitting + (failing - fitting) / 2;
    (fits(middle) ? fitting : failing) = middle;
  }
  return fitting;
}

}  // namespace lockstep
