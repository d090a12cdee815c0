#include "train/initial_weights.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/checkpoint.hpp"
#include "train/likely_model.hpp"

namespace lockstep {
namespace {

std::set<std::string> names_in(const Graph& graph) {
  std::set<std::string> names;
  for (const char* op : {"parameter", "buffer"}) {
    for (int32_t number : graph.find_all(op)) {
      names.insert(graph.nodes()[static_cast<size_t>(number)].label);
    }
  }
  return names;
}

// PyTorch counts the batches that a batch norm has seen; nothing depends on it.
bool is_counter(std::string_view name) { return name.ends_with("num_batches_tracked"); }

// One tensor of the model and its place in the state.
struct Target {
  std::string name;
  Shape shape;
  DeviceMemory* arena;
  int64_t offset;
};

std::vector<Target> targets_in(State& state) {  // by name
  std::vector<Target> targets;
  for (const ParameterSlot& slot : state.layout.parameters) {
    targets.push_back({slot.name, slot.shape, &state.parameters, slot.offset});
  }
  for (const BufferSlot& slot : state.layout.buffers) {
    targets.push_back({slot.name, slot.shape, &state.buffers, slot.offset});
  }
  std::sort(targets.begin(), targets.end(),
            [](const Target& a, const Target& b) { return a.name < b.name; });
  return targets;
}

// The same but for the number of classes.
bool differs_in_classes(const Shape& a, const Shape& b) {
  return a.rank() == b.rank() && a.rank() > 0 && a[0] != b[0] &&
         std::equal(a.begin() + 1, a.end(), b.begin() + 1);
}

class Matching {
 public:
  Matching(State& state, const Weights& weights, const NetworkParts& parts,
           const WeightRules& rules)
      : targets_(targets_in(state)), weights_(weights), parts_(parts) {
    report.origin = weights.origin;
    replaces_head_ =
        rules.replace_head == ReplaceHead::always ||
        (rules.replace_head == ReplaceHead::where_classes_differ && head_is_for_other_classes());
    for (const Target& target : targets_) match(target);
    for (const auto& [name, tensor] : weights.tensors) find_left_over(name);
  }

  void copy_into(State& state) const {
    for (const auto& [target, tensor] : pairs_) {
      if (all_finite(tensor->floats())) continue;
      fail(Failure::checkpoint, report.origin, ": '", target->name,
           "' is not finite in float32; expected numbers; take other weights, or those of an "
           "earlier checkpoint");
    }
    for (const auto& [target, tensor] : pairs_) {
      state.write(*target->arena, target->offset, tensor->floats());
    }
  }

  WeightReport report;

 private:
  const StoredTensor* find(const std::string& name) const {
    const auto found = weights_.tensors.find(name);
    return found == weights_.tensors.end() ? nullptr : &found->second;
  }

  bool head_is_for_other_classes() const {
    return std::any_of(targets_.begin(), targets_.end(), [&](const Target& target) {
      const StoredTensor* tensor = find(target.name);
      return parts_.head.contains(target.name) && tensor != nullptr &&
             differs_in_classes(tensor->shape, target.shape);
    });
  }

  void match(const Target& target) {
    const StoredTensor* tensor = find(target.name);
    if (replaces_head_ && parts_.head.contains(target.name)) {
      report.replaced.push_back(
          {target.name, tensor == nullptr ? Shape{} : tensor->shape, target.shape});
    } else if (tensor == nullptr) {
      auto& list = parts_.auxiliary.contains(target.name) ? report.skipped : report.missing;
      list.push_back(target.name);
    } else if (tensor->shape != target.shape) {
      report.other_shape.push_back({target.name, tensor->shape, target.shape});
    } else {
      report.loaded.push_back(target.name);
      pairs_.emplace_back(&target, tensor);
    }
  }

  void find_left_over(const std::string& name) {
    const auto is_this = [&name](const Target& target) { return target.name == name; };
    if (std::any_of(targets_.begin(), targets_.end(), is_this)) return;
    const bool harmless = is_counter(name) || parts_.auxiliary.contains(name);
    (harmless ? report.skipped : report.left_over).push_back(name);
  }

  std::vector<Target> targets_;
  const Weights& weights_;
  const NetworkParts& parts_;
  bool replaces_head_ = false;
  std::vector<std::pair<const Target*, const StoredTensor*>> pairs_;
};

std::string line(const char* outcome, const std::vector<std::string>& items) {
  constexpr size_t kShown = 3;
  if (items.empty()) return {};
  std::string text = fmt::format("\n  {:<12}{:>5}", outcome, items.size());
  for (size_t i = 0; i < std::min(items.size(), kShown); ++i) {
    text += (i == 0 ? "  " : ", ") + items[i];
  }
  return text + (items.size() > kShown ? ", …" : "");
}

std::vector<std::string> describe(const std::vector<WeightReport::Mismatch>& mismatches) {
  std::vector<std::string> texts;
  for (const auto& [name, file, model] : mismatches) {
    texts.push_back(fmt::format("{} {} -> {}", name, file.text(), model.text()));
  }
  return texts;
}

}  // namespace

NetworkParts network_parts(const PlanRequest& request, const OpRegistry& ops) {
  PlanRequest of_mode = request;
  of_mode.batch_size = 2;
  of_mode.mode = Mode::evaluation;
  const std::set<std::string> evaluation = names_in(build_graph(of_mode, ops));
  of_mode.mode = Mode::training;
  if (of_mode.model_with_auxiliary) of_mode.model = of_mode.model_with_auxiliary;
  const Graph training = build_graph(of_mode, ops);
  NetworkParts parts;
  for (const std::string& name : head_parameters(training)) parts.head.insert(name);
  for (const std::string& name : names_in(training)) {
    if (!evaluation.contains(name)) parts.auxiliary.insert(name);
  }
  return parts;
}

std::string WeightReport::text() const {
  return fmt::format("weights of {}:{}{}{}{}{}{}", origin, line("loaded", loaded),
                     line("replaced", describe(replaced)), line("missing", missing),
                     line("other shape", describe(other_shape)), line("left over", left_over),
                     line("not needed", skipped));
}

WeightReport load_weights(State& state, const Weights& weights, const NetworkParts& parts,
                          const WeightRules& rules, Registry& registry) {
  Matching matching(state, weights, parts, rules);
  const WeightReport& report = matching.report;
  if ((rules.strict && !report.fits()) || report.loaded.empty()) {
    const std::string likely = likely_model(weights, registry);
    fail(
        Failure::checkpoint, report.text(), "\n", report.origin,
        ": does not fit the model; expected every tensor of the model in its shape, and no other; ",
        likely.empty() ? "check [model]" : concat("these look like weights of ", likely),
        report.loaded.empty() ? "" : "; init.strict = false takes what fits");
  }
  matching.copy_into(state);
  return matching.report;
}

}  // namespace lockstep
