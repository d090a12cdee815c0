// The framework's keys of a recipe, by section.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/options.hpp"

namespace lockstep {

// One [section], in the order of a resolved recipe; "" holds the keys before all sections.
struct SectionKeys {
  std::string name;
  std::vector<const OptionTable*> tables;
};
const std::vector<SectionKeys>& recipe_sections();

// Names of the framework's keys of a section; of a transform, which has no section: "transform".
// Unknown sections have none.
std::vector<std::string> framework_keys(std::string_view section);

}  // namespace lockstep
