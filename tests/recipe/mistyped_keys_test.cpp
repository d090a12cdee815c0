// Every known key, mistyped in every way that takes a single edit: always refused, nearly always
// understood.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "recipe/fake_plugins.hpp"
#include "recipe/keys.hpp"

namespace lockstep {
namespace {

std::set<std::string> single_edits(const std::string& key) {
  std::set<std::string> edits;
  for (size_t i = 0; i < key.size(); ++i) {
    std::string deleted = key, doubled = key, changed = key, swapped = key;
    edits.insert(deleted.erase(i, 1));
    edits.insert(doubled.insert(i, 1, key[i]));
    changed[i] = key[i] == 'q' ? 'x' : 'q';
    edits.insert(changed);
    if (i + 1 < key.size()) std::swap(swapped[i], swapped[i + 1]);
    edits.insert(swapped);
  }
  for (size_t i = 0; i <= key.size(); ++i) edits.insert(std::string(key).insert(i, 1, 'w'));
  edits.erase(key);
  edits.erase("");
  return edits;
}

// Section -> its keys, the plugins' among them.
std::map<std::string, std::vector<std::string>> all_keys() {
  Registry registry = make_fake_registry();
  std::map<std::string, std::vector<std::string>> keys;
  for (const SectionKeys& section : recipe_sections()) {
    keys[section.name] = framework_keys(section.name);
    if (!section.name.empty()) keys[""].push_back(section.name);
  }
  const auto add = [&keys](const std::string& section, const OptionTable* table) {
    for (const OptionSpec& spec : table->specs()) keys[section].push_back(spec.name);
  };
  add("model", registry.find_model("net").options);
  add("data", registry.find_dataset("pictures").options);
  add("optimizer", registry.find_optimizer("sgd").options);
  return keys;
}

// A recipe with one more line, in the section's place; `replaces` is left out.
std::string recipe_with(const std::string& section, const std::string& line,
                        const std::string& replaces) {
  std::map<std::string, std::map<std::string, std::string>> content = {
      {"", {}},
      {"model", {{"name", "\"net\""}}},
      {"data", {{"name", "\"pictures\""}}},
      {"train", {{"epochs", "3"}}}};
  content[section].erase(replaces);
  content[section][line] = "1";
  std::string text;
  for (const auto& [name, values] : content) {
    if (!name.empty()) text += "[" + name + "]\n";
    for (const auto& [key, value] : values) text += key + " = " + value + "\n";
  }
  return text;
}

TEST(MistypedKeyTest, IsAlwaysRefusedAndUnderstoodInAtLeast95Percent) {
  Registry registry = make_fake_registry();
  int tried = 0, understood = 0;
  for (const auto& [section, keys] : all_keys()) {
    for (const std::string& key : keys) {
      for (const std::string& typo : single_edits(key)) {
        if (std::find(keys.begin(), keys.end(), typo) != keys.end()) continue;
        ++tried;
        try {
          parse_recipe(recipe_with(section, typo, key), "r.toml", {}, registry);
          ADD_FAILURE() << section << '.' << typo << " was accepted";
        } catch (const Error& error) {
          EXPECT_EQ(error.failure(), Failure::usage);
          EXPECT_THAT(error.what(),
                      testing::MatchesRegex("r\\.toml:[0-9]+:[0-9]+: found .*; expected .*"));
          understood += std::string_view(error.what()).ends_with("; did you mean '" + key + "'?");
        }
      }
    }
  }
  EXPECT_GT(tried, 2000);
  EXPECT_GE(understood, tried * 0.95) << understood << " of " << tried;
  RecordProperty("understood", understood);
  RecordProperty("tried", tried);
}

TEST(MistypedKeyTest, IsRefusedAsASetToo) {
  for (const auto& [section, keys] : all_keys()) {
    for (const std::string& key : keys) {
      const std::string typo = (section.empty() ? "" : section + '.') + key + "x";
      EXPECT_THAT(refusal(kSmallest, {typo + "=1"}),
                  testing::StartsWith("--set " + typo + ": found "));
    }
  }
}

}  // namespace
}  // namespace lockstep
