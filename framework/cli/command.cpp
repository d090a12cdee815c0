#include "cli/command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace lockstep {

nlohmann::ordered_json to_json(const Setting& setting) {
  struct Visitor {
    nlohmann::ordered_json operator()(bool value) const { return value; }
    nlohmann::ordered_json operator()(int64_t value) const { return value; }
    nlohmann::ordered_json operator()(double value) const { return value; }
    nlohmann::ordered_json operator()(const std::string& value) const { return value; }
    nlohmann::ordered_json operator()(const Setting::Array& array) const {
      auto json = nlohmann::ordered_json::array();
      for (const Setting& element : array) json.push_back(to_json(element));
      return json;
    }
    nlohmann::ordered_json operator()(const Setting::Table& table) const {
      auto json = nlohmann::ordered_json::object();
      for (const Setting::Entry& entry : table) json[entry.key] = to_json(entry.value);
      return json;
    }
  };
  return std::visit(Visitor{}, setting.value);
}

std::string options_text(std::span<const OptionTable* const> tables, std::string_view indent) {
  struct Row {
    std::string name, type, value, help;
  };
  std::vector<Row> rows;
  size_t name_width = 0, type_width = 0, value_width = 0;
  for (const OptionTable* table : tables) {
    for (const OptionSpec& spec : table->specs()) {
      const std::string range = spec.rule.text.empty() ? "" : fmt::format(" ({})", spec.rule.text);
      const Row& row = rows.emplace_back(
          Row{spec.name, spec.type, "= " + spec.default_value.text(), spec.help + range});
      name_width = std::max(name_width, row.name.size());
      type_width = std::max(type_width, row.type.size());
      value_width = std::max(value_width, row.value.size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    text += fmt::format("{}{:<{}}  {:<{}}  {:<{}}  {}\n", indent, row.name, name_width, row.type,
                        type_width, row.value, std::min<size_t>(value_width, 24), row.help);
  }
  return text;
}

nlohmann::ordered_json options_json(std::span<const OptionTable* const> tables) {
  auto json = nlohmann::ordered_json::array();
  for (const OptionTable* table : tables) {
    for (const OptionSpec& spec : table->specs()) {
      json.push_back({{"name", spec.name},
                      {"type", spec.type},
                      {"default", to_json(spec.default_value)},
                      {"range", spec.rule.text},
                      {"help", spec.help}});
    }
  }
  return json;
}

void print_out(const std::string& text) {
  const size_t written = std::fwrite(text.data(), 1, text.size(), stdout);
  if (written != text.size() || std::fflush(stdout) != 0) {
    fail(Failure::other, "stdout: cannot be written to; the output is incomplete");
  }
}

}  // namespace lockstep
