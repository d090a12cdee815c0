// TOML -> typed recipe. Every refusal names file, line and column.
#include "recipe/recipe.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.hpp"
#include "recipe/keys.hpp"
#include "recipe/sections.hpp"
#include "recipe/toml.hpp"

namespace lockstep {
namespace {

std::string header(std::string_view section) { return concat('[', section, ']'); }

const Setting::Entry* find_entry(const Setting::Table& table, std::string_view key) {
  const auto at = std::find_if(table.begin(), table.end(),
                               [key](const Setting::Entry& entry) { return entry.key == key; });
  return at == table.end() ? nullptr : &*at;
}

// The section that has exactly this key, for one who wrote it into another; empty if none has.
std::string section_with_key(std::string_view key) {
  for (const SectionKeys& section : recipe_sections()) {
    if (section.name.empty() || key == "name") continue;
    const std::vector<std::string> keys = framework_keys(section.name);
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) return section.name;
  }
  return {};
}

void refuse_key_of_another_section(const Setting::Entry& entry, std::string_view found_in) {
  const std::string home = section_with_key(entry.key);
  if (home.empty()) return;
  fail(Failure::usage, entry.where, ": found the unknown key \"", entry.key, "\" in ", found_in,
       "; expected it in ", header(home), "; did you mean '", home, '.', entry.key, "'?");
}

bool is_known(const Setting::Entry& entry, std::span<const OptionTarget> targets) {
  return std::any_of(targets.begin(), targets.end(), [&entry](const OptionTarget& target) {
    return target.table->find(entry.key) != nullptr;
  });
}

// The plugin that a section names, at the name's place if there is no such plugin.
template <class Find>
const OptionTable& find_plugin(const std::string& where, Find find) {
  try {
    return find();
  } catch (Error& error) {
    throw error.add_context(where);
  }
}

void check_transforms(const std::vector<TransformSection>& transforms, Registry& registry) {
  for (const TransformSection& t : transforms) {
    const OptionTable& table = find_plugin(
        t.where, [&]() -> const OptionTable& { return *registry.find_transform(t.name).options; });
    complete_options(table, t.options, concat("the transform \"", t.name, '"'));
  }
}

class Reader {
 public:
  Reader(Recipe& recipe, Registry& registry) : recipe_(recipe), registry_(registry) {}

  void read(const Setting::Table& root) {
    std::vector<Section> sections = sections_of(recipe_);
    check_root_keys(root, sections);
    for (Section& section : sections) {
      if (section.name.empty()) {
        read_root(root, section);
      } else {
        read_section(root, section);
      }
    }
    check_transforms(recipe_.data.train_transforms, registry_);
    check_transforms(recipe_.data.eval_transforms, registry_);
  }

 private:
  void check_root_keys(const Setting::Table& root, const std::vector<Section>& sections) {
    const std::vector<std::string> plain = framework_keys("");
    std::vector<std::string> known = plain;
    for (const Section& section : sections) {
      if (!section.name.empty()) known.emplace_back(section.name);
    }
    for (const Setting::Entry& entry : root) {
      const bool is_table = std::holds_alternative<Setting::Table>(entry.value.value);
      if (std::find(plain.begin(), plain.end(), entry.key) != plain.end()) continue;
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) {
        if (is_table) continue;
        fail(Failure::usage, entry.value.where, ": found ", entry.key, " = ", entry.value,
             "; expected a section ", header(entry.key));
      }
      if (!is_table) refuse_key_of_another_section(entry, "no section");
      const std::string suggestion = did_you_mean(entry.key, known);
      fail(Failure::usage, entry.where, ": found the unknown ", is_table ? "section [" : "key \"",
           entry.key, is_table ? "]" : "\"", "; expected ",
           suggestion.empty() ? list_words(known) : "a known one" + suggestion);
    }
  }

  void read_root(const Setting::Table& root, const Section& section) {
    Setting::Table own;
    for (const Setting::Entry& entry : root) {
      if (!is_known(entry, section.targets)) continue;
      own.push_back(entry);
      recipe_.places[entry.key] = entry.value.where;
    }
    read_options(section.targets, own, "the recipe");
  }

  void read_section(const Setting::Table& root, Section& section) {
    const Setting::Entry* entry = find_entry(root, section.name);
    static const Setting::Table kEmpty;
    const Setting::Table* table = &kEmpty;
    if (entry != nullptr) {
      recipe_.places[std::string(section.name)] = entry->where;
      table = &std::get<Setting::Table>(entry->value.value);
    }
    for (const Setting::Entry& e : *table) {
      recipe_.places[concat(section.name, '.', e.key)] = e.value.where;
    }
    if (section.find_plugin != nullptr) {
      read_with_plugin(*table, section);
    } else {
      read_all(*table, section.targets, header(section.name));
    }
  }

  void read_with_plugin(const Setting::Table& table, Section& section) {
    // The name first: which other keys are known depends on it.
    if (const Setting::Entry* name = find_entry(table, "name")) {
      read_options(section.targets, Setting::Table{*name}, header(section.name));
    }
    const std::string key = concat(section.name, ".name");
    if (section.plugin_name->empty()) refuse_nameless(table, section, recipe_.place(key));
    const OptionTable& plugin = find_plugin(recipe_.place(key), [&]() -> const OptionTable& {
      return section.find_plugin(registry_, *section.plugin_name);
    });
    std::vector<OptionTarget> targets = section.targets;
    const std::shared_ptr<void> object = plugin.create();
    targets.push_back({&plugin, object.get()});
    read_all(table, targets,
             concat(header(section.name), " with name = \"", *section.plugin_name, '"'));
    for (const Setting::Entry& entry : table) {
      if (!is_known(entry, section.targets)) section.plugin_options->push_back(entry);
    }
  }

  [[noreturn]] static void refuse_nameless(const Setting::Table& table, const Section& section,
                                           const std::string& where) {
    // Perhaps the name is there, under a mistyped key.
    const std::vector<std::string> keys = framework_keys(section.name);
    for (const Setting::Entry& entry : table) {
      const bool meant =
          !is_known(entry, section.targets) && nearest_word(entry.key, keys) == "name";
      if (meant) read_options(section.targets, Setting::Table{entry}, header(section.name));
    }
    fail(Failure::usage, where, ": found no name in ", header(section.name),
         "; expected one of `lockstep list ", section.name == "data" ? "dataset" : section.name,
         '`');
  }

  void read_all(const Setting::Table& table, std::span<const OptionTarget> targets,
                const std::string& name) {
    for (const Setting::Entry& entry : table) {
      if (!is_known(entry, targets)) refuse_key_of_another_section(entry, name);
    }
    read_options(targets, table, name);
  }

  Recipe& recipe_;
  Registry& registry_;
};

void check_data(const Recipe& r) {
  const DataSection& data = r.data;
  if (data.mean.size() != data.std.size()) {
    const std::string_view key = data.std.empty() ? "data.mean" : "data.std";
    fail(Failure::usage, r.place(key), ": found ", data.mean.size(), " values in data.mean and ",
         data.std.size(), " in data.std; expected one of each per channel");
  }
}

void check_training(const Recipe& r) {
  const TrainSection& train = r.train;
  if (train.epochs < 0 && train.max_steps < 0 && train.max_seconds < 0) {
    fail(Failure::usage, r.place("train"),
         ": found no end of the training; expected train.epochs, max_steps or max_seconds");
  }
  if (train.global_batch_size < train.gradient_accumulation) {
    fail(Failure::usage, r.place("train.gradient_accumulation"), ": found ",
         train.gradient_accumulation,
         " shards for train.global_batch_size = ", train.global_batch_size,
         "; expected at least one sample in each");
  }
  if (train.early_stopping_patience > 0 && r.evaluation.every_epochs == 0) {
    fail(Failure::usage, r.place("train.early_stopping_patience"),
         ": found early stopping with evaluation.every_epochs = 0; expected evaluations to go by: "
         "set evaluation.every_epochs = 1");
  }
}

void check_schedule(const Recipe& r) {
  const std::vector<double>& m = r.schedule.milestones;
  if (std::adjacent_find(m.begin(), m.end(), std::greater_equal<>()) != m.end()) {
    fail(Failure::usage, r.place("schedule.milestones"),
         ": found schedule.milestones that do not ascend; expected each later than the one before");
  }
}

}  // namespace

const std::string& Recipe::place(std::string_view key) const {
  if (const auto at = places.find(key); at != places.end()) return at->second;
  const auto section = places.find(key.substr(0, key.find('.')));
  return section != places.end() ? section->second : origin;
}

Recipe parse_recipe(std::string_view text, const std::string& origin,
                    std::span<const std::string> sets, Registry& registry) {
  Setting::Table root = parse_toml(text, origin);
  for (const std::string& assignment : sets) apply_assignment(root, assignment);
  Recipe recipe;
  recipe.origin = origin;
  Reader(recipe, registry).read(root);
  check_data(recipe);
  check_training(recipe);
  check_schedule(recipe);
  return recipe;
}

Recipe load_recipe(const std::string& path, std::span<const std::string> sets, Registry& registry) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    fail(Failure::usage, path,
         ": found a folder; expected a recipe file, such as recipes/quickstart.toml");
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (!file && !file.eof()) {
    fail(Failure::usage, path, ": found that it cannot be read (", std::strerror(errno),
         "); expected a recipe file, such as recipes/quickstart.toml");
  }
  return parse_recipe(text.str(), path, sets, registry);
}

}  // namespace lockstep
