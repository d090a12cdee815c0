// The only file that includes toml++ (3.3), so its implementation is compiled here and nowhere
// else. Debian's shared library of it is built with exceptions, which we do without: an error's
// place comes with the result.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
// Some of its assertions can be reached by input, such as "[=]", where the code after them answers
// with an error; and with NDEBUG it promises them to the optimizer. So they are nothing.
#undef NDEBUG
#define TOML_ASSERT(expr) static_cast<void>(0)
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include "recipe/toml.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

namespace lockstep {
namespace {

// toml++ limits the depth of values but not of dotted keys, and both of us recurse.
constexpr int kMostKeyDepth = 64;
constexpr size_t kMostBytes = size_t{1} << 20;

std::string place(std::string_view origin, const toml::source_position& at) {
  return at ? fmt::format("{}:{}:{}", origin, at.line, at.column) : std::string(origin);
}

// Converts nodes; all places are the same where `fixed_place` is given.
class Converter {
 public:
  Converter(std::string_view origin, bool fixed_place)
      : origin_(origin), fixed_place_(fixed_place) {}

  Setting::Table table(const toml::table& source, int depth) const {
    struct Item {
      toml::source_position at;
      Setting::Entry entry;
    };
    std::vector<Item> items;
    for (const auto& [key, node] : source) {
      const toml::source_position at = key.source().begin;
      items.push_back({at, {std::string(key.str()), where(at), setting(node, depth + 1)}});
    }
    // toml++ sorts by name; people are answered in the order they wrote.
    std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
      return std::tie(a.at.line, a.at.column) < std::tie(b.at.line, b.at.column);
    });
    Setting::Table result;
    for (Item& item : items) result.push_back(std::move(item.entry));
    return result;
  }

  Setting setting(const toml::node& node, int depth) const {
    const std::string here = where(node.source().begin);
    if (depth > kMostKeyDepth) {
      fail(Failure::usage, here, ": found tables nested more than ", kMostKeyDepth,
           " deep; expected a recipe, which needs 4");
    }
    if (const auto* v = node.as_boolean()) return {v->get(), here};
    if (const auto* v = node.as_integer()) return {v->get(), here};
    if (const auto* v = node.as_string()) return {v->get(), here};
    if (const auto* v = node.as_table()) return {table(*v, depth), here};
    if (const auto* v = node.as_floating_point()) {
      if (!std::isfinite(v->get())) {
        const char* found = std::isnan(v->get()) ? "nan" : v->get() > 0 ? "inf" : "-inf";
        fail(Failure::usage, here, ": found ", found, "; expected a finite number");
      }
      return {v->get(), here};
    }
    if (const auto* v = node.as_array()) {
      Setting::Array array;
      for (const toml::node& element : *v) array.push_back(setting(element, depth + 1));
      return {std::move(array), here};
    }
    fail(Failure::usage, here,
         ": found a date or time; expected a boolean, number, string, list or table "
         "(quote it if it is a string)");
  }

 private:
  std::string where(const toml::source_position& at) const {
    return fixed_place_ ? std::string(origin_) : place(origin_, at);
  }

  std::string_view origin_;
  bool fixed_place_;
};

// Refuses a.a.a.… before toml++ builds a table per dot. Dots count only as long as nothing stands
// between them that no key contains.
void check_dotted_keys(std::string_view text, std::string_view origin) {
  constexpr std::string_view kKeyCharacters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-\"' \t";
  int dots = 0, line = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool line_begins = i == 0 || text[i - 1] == '\n';
    line += line_begins && i > 0;
    if (line_begins) {
      const size_t first = text.find_first_not_of(" \t", i);
      if (first != std::string_view::npos && text[first] == '#') {
        const size_t end = text.find('\n', first);
        if (end == std::string_view::npos) return;
        i = end;
        dots = 0;
        continue;
      }
    }
    if (text[i] == '.') {
      if (++dots > kMostKeyDepth) {
        fail(Failure::usage, origin, ":", line, ": found more than ", kMostKeyDepth,
             " dots in a row; expected keys such as train.epochs");
      }
    } else if (kKeyCharacters.find(text[i]) == std::string_view::npos) {
      dots = 0;
    }
  }
}

bool is_utf8(const std::string& text) {
  return toml::parse("v = " + Setting{text, {}}.text()).succeeded();
}

// A date is not among a recipe's values: as an assignment it is the string it looks like.
Setting assigned_value(const std::string& text, const std::string& where) {
  check_dotted_keys(text, where);
  const toml::parse_result result = toml::parse("v = " + text);
  if (result.succeeded() && result.table().size() == 1) {
    const toml::node& node = *result.table().get("v");
    if (!node.is_date() && !node.is_time() && !node.is_date_time()) {
      return Converter(where, true).setting(node, 0);
    }
  }
  if (!is_utf8(text)) {
    fail(Failure::usage, where, ": found bytes that are not UTF-8; expected UTF-8 text");
  }
  return {text, where};
}

std::vector<std::string> split_key(std::string_view key) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t dot = key.find('.', begin);
    parts.emplace_back(key.substr(begin, dot - begin));
    if (dot == std::string_view::npos) return parts;
    begin = dot + 1;
  }
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

Setting& find_or_add(Setting::Table& table, const std::string& key, const std::string& where) {
  const auto at = std::find_if(table.begin(), table.end(),
                               [&key](const Setting::Entry& entry) { return entry.key == key; });
  if (at != table.end()) return at->value;
  table.push_back({key, where, {Setting::Table{}, where}});
  return table.back().value;
}

}  // namespace

Setting::Table parse_toml(std::string_view text, std::string_view origin) {
  if (text.size() > kMostBytes) {
    fail(Failure::usage, origin, ": found ", text.size(), " bytes; expected a recipe of at most ",
         kMostBytes);
  }
  check_dotted_keys(text, origin);
  const toml::parse_result result = toml::parse(text);
  if (!result.succeeded()) {
    const toml::parse_error& error = result.error();
    fail(Failure::usage, place(origin, error.source().begin),
         ": found text that is not TOML: ", error.description(),
         "; expected TOML 1.0 (https://toml.io)");
  }
  return Converter(origin, false).table(result.table(), 0);
}

void apply_assignment(Setting::Table& root, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  const std::string_view key = trimmed(assignment.substr(0, equals));
  const std::string where = concat("--set ", key);
  const std::vector<std::string> parts = split_key(key);
  const bool nameless =
      std::any_of(parts.begin(), parts.end(), [](const std::string& part) { return part.empty(); });
  if (equals == std::string_view::npos || nameless || parts.size() > kMostKeyDepth) {
    fail(Failure::usage, "--set ", assignment, ": found no ", nameless ? "key" : "'='",
         "; expected key=value, such as train.epochs=3");
  }
  Setting value = assigned_value(std::string(trimmed(assignment.substr(equals + 1))), where);

  Setting::Table* table = &root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    Setting& next = find_or_add(*table, parts[i], where);
    table = std::get_if<Setting::Table>(&next.value);
    if (table == nullptr) {
      fail(Failure::usage, where, ": found that '", parts[i], "' is ", next, " (", next.where,
           "); expected a table");
    }
  }
  Setting& target = find_or_add(*table, parts.back(), where);
  target = std::move(value);
  for (Setting::Entry& entry : *table) {
    if (&entry.value == &target) entry.where = where;
  }
}

}  // namespace lockstep
