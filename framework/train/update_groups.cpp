#include "train/update_groups.hpp"

#include <algorithm>

#include "base/patterns.hpp"

namespace lockstep {
namespace {

constexpr const char* kDecay = "weight_decay";
constexpr const char* kAdaptive = "adaptive";

// What the recipe asks for a parameter, relative to the section's own values.
struct Multipliers {
  double lr = 1;
  double weight_decay = 1;
  bool adaptive = true;
  friend bool operator==(const Multipliers&, const Multipliers&) = default;
};

Multipliers multipliers_of(const ParameterSlot& parameter, const OptimizerSection& section) {
  const auto group = std::find_if(
      section.groups.begin(), section.groups.end(),
      [&](const OptimizerGroup& g) { return NamePatterns(g.parameters).covers(parameter.name); });
  Multipliers result;
  if (group != section.groups.end()) {
    result.lr = group->lr_multiplier;
    result.weight_decay = group->weight_decay_multiplier;
  }
  const bool is_weight = parameter.attributes.kind == ParameterKind::weight;
  if (!section.decay_norm_and_bias && !is_weight) {
    result.weight_decay = 0;
    result.adaptive = false;
  }
  return result;
}

// An option of the optimizer; null where it has none of this name.
template <class T>
const T* find_option(const Setting::Table& options, std::string_view key) {
  for (const Setting::Entry& entry : options) {
    if (entry.key == key) return std::get_if<T>(&entry.value.value);
  }
  return nullptr;
}

class Groups {
 public:
  explicit Groups(std::shared_ptr<const Optimizer> optimizer) : optimizer_(std::move(optimizer)) {}

  int32_t find_or_add(Multipliers wanted) {
    const Setting::Table options = optimizer_->options();
    const double* decay = find_option<double>(options, kDecay);
    if (decay == nullptr) wanted.weight_decay = 1;
    if (find_option<bool>(options, kAdaptive) == nullptr) wanted.adaptive = true;
    const auto known = std::find(multipliers_.begin(), multipliers_.end(), wanted);
    if (known != multipliers_.end()) return static_cast<int32_t>(known - multipliers_.begin());
    multipliers_.push_back(wanted);
    groups_.push_back({.optimizer = optimizer_, .lr_multiplier = static_cast<float>(wanted.lr)});
    Setting::Table changed;
    if (wanted.weight_decay != 1)
      changed.push_back({kDecay, {}, {*decay * wanted.weight_decay, {}}});
    if (!wanted.adaptive) changed.push_back({kAdaptive, {}, {false, {}}});
    if (!changed.empty()) groups_.back().optimizer = optimizer_->with(changed);
    return static_cast<int32_t>(groups_.size()) - 1;
  }

  std::vector<UpdateGroup> take() { return std::move(groups_); }

 private:
  std::shared_ptr<const Optimizer> optimizer_;
  std::vector<Multipliers> multipliers_;  // of each group
  std::vector<UpdateGroup> groups_;
};

}  // namespace

UpdatePlan plan_update(const ParameterLayout& layout, const OptimizerSection& section,
                       const std::shared_ptr<const Optimizer>& optimizer, double clip_grad_norm) {
  UpdatePlan plan{.optimizer_name = section.name,
                  .groups = {},
                  .segments = {},
                  .clip_grad_norm = clip_grad_norm};
  Groups groups(optimizer);
  for (const ParameterSlot& parameter : layout.parameters) {
    if (!parameter.trainable) continue;
    const int32_t group = groups.find_or_add(multipliers_of(parameter, section));
    const bool extends = !plan.segments.empty() && plan.segments.back().group == group;
    if (extends && !optimizer->needs_norms()) {
      // Trainable parameters follow each other in the arena; the padding between two is zeros that
      // stay so.
      UpdateSegment& last = plan.segments.back();
      last.count = parameter.offset + parameter.count - last.offset;
    } else {
      plan.segments.push_back(
          {.offset = parameter.offset, .count = parameter.count, .group = group});
    }
  }
  plan.groups = groups.take();
  return plan;
}

}  // namespace lockstep
