#include "train/likely_model.hpp"

#include <algorithm>
#include <set>

#include "plan/plan.hpp"

namespace lockstep {
namespace {

// Values worth trying for an option: both of a bool, and those of an int that accepts few.
std::vector<Setting> values_to_try(const OptionSpec& option) {
  constexpr int64_t kLargest = 200;
  constexpr size_t kFew = 8;
  if (option.type == "bool") return {{true, {}}, {false, {}}};
  std::vector<Setting> values;
  if (option.type != "int" || !option.rule.accepts) return values;
  for (int64_t number = 0; number <= kLargest; ++number) {
    const Setting value{number, {}};
    if (option.rule.accepts(value)) values.push_back(value);
  }
  return values.size() <= kFew ? values : std::vector<Setting>{};
}

// Every combination of depths and their like, each with at most one bool changed.
std::vector<Setting::Table> tables_to_try(const OptionTable& options) {
  std::vector<Setting::Table> tables{{}};
  const auto extend = [&](const OptionSpec& option, bool keep_alone) {
    std::vector<Setting::Table> extended;
    for (const Setting::Table& table : tables) {
      if (keep_alone) extended.push_back(table);
      for (const Setting& value : values_to_try(option)) {
        if (value.text() == option.default_value.text() && keep_alone) continue;
        extended.push_back(table);
        extended.back().push_back({option.name, {}, value});
      }
    }
    return extended;
  };
  for (const OptionSpec& option : options.specs()) {
    if (option.type == "int" && !values_to_try(option).empty()) tables = extend(option, false);
  }
  std::vector<Setting::Table> all = tables;
  for (const OptionSpec& option : options.specs()) {
    if (option.type != "bool") continue;
    const std::vector<Setting::Table> with = extend(option, true);
    all.insert(all.end(), with.begin(), with.end());
  }
  return all;
}

// The share of tensors that the file and the graph have in common, in their shapes. Heads do not
// count, for their classes differ.
double similarity(const Graph& graph, const Weights& weights) {
  std::set<std::string> passed_over;
  for (const std::string& name : head_parameters(graph)) passed_over.insert(name);
  int64_t common = 0, in_graph = 0, in_file = 0;
  for (const char* op : {"parameter", "buffer"}) {
    for (int32_t number : graph.find_all(op)) {
      const Node& node = graph.nodes()[static_cast<size_t>(number)];
      if (passed_over.contains(node.label)) continue;
      const auto found = weights.tensors.find(node.label);
      ++in_graph;
      common += found != weights.tensors.end() && found->second.shape == node.outputs[0].shape;
    }
  }
  for (const auto& [name, tensor] : weights.tensors) {
    in_file += !passed_over.contains(name) && !name.ends_with("num_batches_tracked");
  }
  return static_cast<double>(common) /
         static_cast<double>(std::max({in_graph, in_file, int64_t{1}}));
}

std::string text_of(const std::string& model, const Setting::Table& options) {
  std::string text = model;
  for (size_t i = 0; i < options.size(); ++i) {
    text += concat(i == 0 ? " with model." : ", model.", options[i].key, " = ",
                   options[i].value.text());
  }
  return text;
}

}  // namespace

std::string likely_model(const Weights& weights, Registry& registry) {
  constexpr double kMost = 0.75;
  double best = 0;
  std::string likely;
  std::vector<std::string> refused;
  for (const Registry::Listed& listed : registry.list_all(&refused)) {
    if (listed.kind != Kind::model) continue;
    const ModelEntry& entry = registry.find_model(listed.name);
    for (const Setting::Table& options : tables_to_try(*entry.options)) {
      for (const Shape& image : {Shape{3, 224, 224}, Shape{3, 32, 32}, Shape{1, 28, 28}}) {
        PlanRequest request;
        request.image = image;
        request.model = [&](Scope scope, Value x) {
          return entry.make(std::move(scope), x, 1000, options);
        };
        try {
          const double share = similarity(build_graph(request, registry.ops()), weights);
          if (share > best) best = share, likely = text_of(listed.name, options);
        } catch (const Error&) {
          continue;  // no model of such pictures or with such options
        }
      }
    }
  }
  return best >= kMost ? likely : "";
}

}  // namespace lockstep
