#include "train/update_groups.hpp"

namespace lockstep {

UpdatePlan plan_update(const ParameterLayout& layout, const std::string& optimizer_name,
                       std::shared_ptr<const Optimizer> optimizer, bool decay_norm_and_bias,
                       double clip_grad_norm) {
  constexpr const char* kDecay = "weight_decay";
  UpdatePlan plan{.optimizer_name = optimizer_name,
                  .groups = {{.optimizer = optimizer}},
                  .segments = {},
                  .clip_grad_norm = clip_grad_norm};
  const bool exempt = !decay_norm_and_bias && optimizer->has_option(kDecay);
  if (exempt) plan.groups.push_back({.optimizer = optimizer->with({{kDecay, {}, {0.0, {}}}})});

  for (const ParameterSlot& parameter : layout.parameters) {
    if (!parameter.trainable) continue;
    const bool is_weight = parameter.attributes.kind == ParameterKind::weight;
    const int32_t group = exempt && !is_weight ? 1 : 0;
    if (!plan.segments.empty() && plan.segments.back().group == group) {
      // Trainable parameters follow each other in the arena; the padding between two is zeros that
      // stay so.
      UpdateSegment& last = plan.segments.back();
      last.count = parameter.offset + parameter.count - last.offset;
    } else {
      plan.segments.push_back(
          {.offset = parameter.offset, .count = parameter.count, .group = group});
    }
  }
  return plan;
}

}  // namespace lockstep
