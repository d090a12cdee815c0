// What the subcommands share. Each file NAME.cpp here defines
//   void add_NAME(CLI::App& app, Context& context)
// which adds the subcommand; CMake collects the files.
#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "base/options.hpp"

namespace lockstep {

// Where a subcommand leaves what is to be done once the whole command line is understood.
struct Context {
  std::function<int()> run;  // returns the exit code
};

// Adds all subcommands. Defined by a generated file.
void add_commands(CLI::App& app, Context& context);

// The same value as JSON; tables keep their order.
nlohmann::ordered_json to_json(const Setting& setting);

// Described options as a table for people, and as JSON: name, type, default, range, help.
std::string options_text(std::span<const OptionTable* const> tables, std::string_view indent);
nlohmann::ordered_json options_json(std::span<const OptionTable* const> tables);

// Writes the text to stdout at once; throws Error{other} where it cannot be written.
void print_out(const std::string& text);

}  // namespace lockstep
