// The resolved recipe: every key with the value in force, in the order of description; and what
// differs between two.
#include <algorithm>
#include <set>

#include "recipe/recipe.hpp"
#include "recipe/sections.hpp"

namespace lockstep {
namespace {

struct ResolvedSection {
  std::string name;
  Setting::Table values;
};

void complete_transforms(std::vector<TransformSection>& transforms, Registry& registry) {
  for (TransformSection& t : transforms) {
    const OptionTable& table = *registry.find_transform(t.name).options;
    t.options = complete_options(table, t.options, concat("the transform \"", t.name, '"'));
  }
}

std::vector<ResolvedSection> resolve(Recipe recipe, Registry& registry) {
  complete_transforms(recipe.data.train_transforms, registry);
  complete_transforms(recipe.data.eval_transforms, registry);
  std::vector<ResolvedSection> result;
  for (const Section& section : sections_of(recipe)) {
    ResolvedSection resolved{std::string(section.name), {}};
    const auto append = [&resolved](Setting::Table values) {
      std::move(values.begin(), values.end(), std::back_inserter(resolved.values));
    };
    for (const OptionTarget& target : section.targets) append(target.table->write(target.object));
    if (section.find_plugin != nullptr) {
      append(complete_options(section.find_plugin(registry, *section.plugin_name),
                              *section.plugin_options, section.name));
    }
    result.push_back(std::move(resolved));
  }
  return result;
}

// Dotted key -> value as TOML, in order.
std::vector<std::pair<std::string, std::string>> flatten(const Recipe& recipe, Registry& registry) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const ResolvedSection& section : resolve(recipe, registry)) {
    const std::string prefix = section.name.empty() ? "" : section.name + '.';
    for (const Setting::Entry& entry : section.values) {
      values.emplace_back(prefix + entry.key, entry.value.text());
    }
  }
  return values;
}

}  // namespace

std::string resolved_text(const Recipe& recipe, Registry& registry) {
  std::string text;
  for (const ResolvedSection& section : resolve(recipe, registry)) {
    if (!section.name.empty()) text += concat("\n[", section.name, "]\n");
    // As an inline table's entries are written, key quoted where need be, one per line.
    for (const Setting::Entry& entry : section.values) {
      const std::string line = Setting{Setting::Table{entry}, {}}.text();
      text += concat(std::string_view(line).substr(2, line.size() - 4), '\n');
    }
  }
  return text;
}

std::vector<std::string> differences(const Recipe& a, const Recipe& b, Registry& registry) {
  const auto values_a = flatten(a, registry);
  const auto values_b = flatten(b, registry);
  const std::set<std::pair<std::string, std::string>> in_a(values_a.begin(), values_a.end());
  const std::set<std::pair<std::string, std::string>> in_b(values_b.begin(), values_b.end());
  std::vector<std::string> keys;
  const auto collect = [&keys](const auto& values, const auto& other) {
    for (const auto& value : values) {
      const bool listed = std::find(keys.begin(), keys.end(), value.first) != keys.end();
      if (!other.contains(value) && !listed) keys.push_back(value.first);
    }
  };
  collect(values_a, in_b);
  collect(values_b, in_a);
  return keys;
}

bool may_differ_on_resume(std::string_view key) {
  for (const std::string_view section :
       {"device.", "communicator.", "evaluation.", "checkpoint."}) {
    if (key.starts_with(section)) return true;
  }
  constexpr std::string_view kKeys[] = {
      "data.workers", "data.path",       "data.on_bad_sample", "data.max_bad_samples",
      "train.epochs", "train.max_steps", "train.max_seconds",  "train.auto_accumulate"};
  return std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys);
}

}  // namespace lockstep
