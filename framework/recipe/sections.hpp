// The sections of a Recipe object, for code that treats them alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "recipe/recipe.hpp"

namespace lockstep {

struct Section {
  std::string_view name;              // "" for the keys before all sections
  std::vector<OptionTarget> targets;  // into the recipe
  // For a section that a plugin shares: where its name and options lie, and how its description is
  // found.
  std::string* plugin_name = nullptr;
  Setting::Table* plugin_options = nullptr;
  const OptionTable& (*find_plugin)(Registry&, std::string_view name) = nullptr;
};

std::vector<Section> sections_of(Recipe& recipe);

// The plugin's options, given and default ones, all in the order of description. Checks them.
Setting::Table complete_options(const OptionTable& table, const Setting::Table& given,
                                std::string_view section);

}  // namespace lockstep
