// TOML text as Settings that know their places; `--set key=value` on top. https://toml.io/en/v1.0.0
#pragma once

#include <string>
#include <string_view>

#include "base/options.hpp"

namespace lockstep {

// Keys are in the order of the text, places read "origin:line:column". What is not TOML, a date
// (recipes have none), NaN and infinity throw Error{usage} with the place.
Setting::Table parse_toml(std::string_view text, std::string_view origin);

// Applies "train.epochs=3": the value is TOML or else a string. All that it sets has the place
// "--set train.epochs".
void apply_assignment(Setting::Table& root, std::string_view assignment);

}  // namespace lockstep
