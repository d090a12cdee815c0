#include "cli/report_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.hpp"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPerSecond = "_bytes_per_second";
constexpr std::string_view kBytes = "_bytes";
constexpr std::string_view kSeconds = "_seconds";

// "free_bytes" -> "free": the number has its unit. Names of variables stay as they are.
std::string title(std::string key) {
  if (key.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ+.") != std::string::npos) return key;
  for (const std::string_view unit : {kPerSecond, kBytes, kSeconds}) {
    if (!key.ends_with(unit)) continue;
    key.resize(key.size() - unit.size());
    break;
  }
  std::replace(key.begin(), key.end(), '_', ' ');
  return key;
}

std::string seconds_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", 1e6 * seconds);
  if (seconds < 1) return fmt::format("{:.2f} ms", 1e3 * seconds);
  return fmt::format("{:.2f} s", seconds);
}

std::string scalar_text(std::string_view key, const Json& value);

std::string list_text(std::string_view key, const Json& values) {
  std::string text;
  for (const Json& value : values) text += (text.empty() ? "" : ", ") + scalar_text(key, value);
  return text.empty() ? "none" : text;
}

std::string scalar_text(std::string_view key, const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) return value.get<std::string>().empty() ? "none" : value;
  if (value.is_array()) return list_text(key, value);
  if (!value.is_number()) return value.dump();
  const auto number = value.get<double>();
  if (key.ends_with(kPerSecond)) return bytes_text(static_cast<int64_t>(number)) + "/s";
  if (key.ends_with("bytes")) return bytes_text(static_cast<int64_t>(number));
  if (key.ends_with("seconds")) return seconds_text(number);
  return value.dump();
}

// An object or a list of lines, below its title.
bool is_nested(const Json& value) {
  constexpr size_t kLine = 60;
  if (!value.is_structured() || value.empty()) return false;
  return value.is_object() || (value.size() > 1 && list_text("", value).size() > kLine);
}

std::string object_text(const Json& object, size_t indent) {
  size_t width = 0;
  for (const auto& [key, value] : object.items()) width = std::max(width, title(key).size());
  std::string text;
  for (const auto& [key, value] : object.items()) {
    if (is_nested(value)) {
      text += fmt::format("{:{}}{}\n", "", indent, title(key));
      if (value.is_object()) text += object_text(value, indent + 2);
      for (const Json& line : value.is_array() ? value : Json::array())
        text += fmt::format("{:{}}{}\n", "", indent + 2, scalar_text(key, line));
    } else {
      text += fmt::format("{:{}}{:<{}}  {}\n", "", indent, title(key), width,
                          value.empty() ? "none" : scalar_text(key, value));
    }
  }
  return text;
}

std::string table_text(const Json& rows) {
  std::vector<std::vector<std::string>> cells(1);
  for (const auto& [key, value] : rows[0].items()) cells[0].push_back(title(key));
  for (const Json& row : rows) {
    std::vector<std::string>& line = cells.emplace_back();
    for (const auto& [key, value] : row.items()) line.push_back(scalar_text(key, value));
  }
  std::vector<size_t> widths(cells[0].size());
  for (const auto& line : cells) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const auto& line : cells) {
    text += " ";
    for (size_t i = 0; i < line.size(); ++i)
      text += fmt::format(" {:<{}} ", line[i], i + 1 < line.size() ? widths[i] : 0);
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  return text;
}

}  // namespace

std::string section_text(std::string_view name, const Json& json, bool blocks) {
  std::string text = fmt::format("\n{}\n", name);
  if (json.empty()) return text + "  none\n";
  if (json.is_object()) return text + object_text(json, 2);
  if (!json[0].is_object()) {
    for (const Json& line : json) text += fmt::format("  {}\n", line.get<std::string>());
  } else if (blocks) {
    for (size_t i = 0; i < json.size(); ++i) text += (i > 0 ? "\n" : "") + object_text(json[i], 2);
  } else {
    text += table_text(json);
  }
  return text;
}

}  // namespace lockstep
