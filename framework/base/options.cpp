// Reading, checking and printing of described options.
#include "base/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace lockstep {
namespace {

// What was found and what was expected, before the option's name is known.
class Mismatch : public Error {
 public:
  Mismatch(const Setting& setting, std::string expected, std::string suggestion = {})
      : Error(Failure::usage, concat("found ", setting.text(), "; expected ", expected)),
        setting(setting),
        expected(std::move(expected)),
        suggestion(std::move(suggestion)) {}

  Setting setting;
  std::string expected;
  std::string suggestion;  // "; did you mean 'he'?" or nothing
};

bool is_bare_key(std::string_view key) {
  constexpr std::string_view kBare =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return !key.empty() && key.find_first_not_of(kBare) == std::string_view::npos;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

// "1" for 1.0: how a bound is written for people.
std::string bound_text(double bound) {
  return bound == std::floor(bound) && std::abs(bound) < 1e15 ? fmt::format("{:.0f}", bound)
                                                              : float_text(bound);
}

// A value short enough for a message.
std::string found_text(const Setting& setting) {
  constexpr size_t kMost = 60;
  std::string text = setting.text();
  if (text.size() <= kMost) return text;
  // Not in the middle of a UTF-8 sequence.
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + " …";
}

double number_of(const Setting& setting) {
  if (const auto* integer = std::get_if<int64_t>(&setting.value)) {
    return static_cast<double>(*integer);
  }
  const auto* number = std::get_if<double>(&setting.value);
  return number != nullptr ? *number : std::nan("");
}

Rule number_rule(std::string text, std::function<bool(double)> accepts) {
  return {std::move(text), [accepts](const Setting& s) { return accepts(number_of(s)); }, {}};
}

bool all_finite(const Setting& setting) {
  if (const auto* number = std::get_if<double>(&setting.value)) return std::isfinite(*number);
  if (const auto* array = std::get_if<Setting::Array>(&setting.value)) {
    return std::all_of(array->begin(), array->end(), all_finite);
  }
  return true;
}

// The first element (or the value itself) that the rule refuses; null if there is none.
const Setting* find_refused(const Rule& rule, const Setting& setting) {
  if (const auto* array = std::get_if<Setting::Array>(&setting.value)) {
    for (const Setting& element : *array) {
      if (const Setting* refused = find_refused(rule, element)) return refused;
    }
    return nullptr;
  }
  return rule.accepts(setting) ? nullptr : &setting;
}

// `culprit` is the entry's value or, for a list, the element at fault.
[[noreturn]] void refuse(const Setting::Entry& entry, const Setting& culprit,
                         std::string_view section, const std::string& expected) {
  const std::string place = culprit.where.empty() ? concat(section, '.', entry.key) : culprit.where;
  const bool whole = culprit.text() == entry.value.text();
  const std::string found = whole ? concat(entry.key, " = ", found_text(culprit))
                                  : concat(found_text(culprit), " in ", entry.key);
  fail(Failure::usage, place, ": found ", found, "; expected ", expected);
}

[[noreturn]] void refuse_unknown(const Setting::Entry& entry, std::span<const OptionTarget> targets,
                                 std::string_view section) {
  std::vector<std::string> known;
  for (const OptionTarget& target : targets) {
    for (const OptionSpec& spec : target.table->specs()) known.push_back(spec.name);
  }
  const std::string suggestion = did_you_mean(entry.key, known);
  const std::string expected = known.empty()        ? "no keys there"
                               : suggestion.empty() ? list_words(known)
                                                    : "a known key" + suggestion;
  const std::string place = entry.where.empty() ? std::string(section) : entry.where;
  fail(Failure::usage, place, ": found the unknown key ", quoted(entry.key), " in ", section,
       "; expected ", expected);
}

void read_option(const OptionSpec& spec, void* object, const Setting::Entry& entry,
                 std::string_view section) {
  const Rule& rule = spec.rule;
  try {
    spec.read(object, entry.value);
  } catch (const Mismatch& mismatch) {
    std::string expected = mismatch.expected;
    if (!rule.names.empty()) {
      expected = rule.text;
    } else if (!rule.text.empty()) {
      expected += ", " + rule.text;
    }
    refuse(entry, mismatch.setting, section, expected + mismatch.suggestion);
  }
  if (!rule.accepts) return;
  const Setting* refused = find_refused(rule, entry.value);
  if (refused == nullptr || spec.write(object).text() == spec.default_value.text()) return;
  std::string suggestion;
  if (const auto* word = std::get_if<std::string>(&refused->value)) {
    suggestion = did_you_mean(*word, rule.names);
  }
  refuse(entry, *refused, section, rule.text + suggestion);
}

}  // namespace

std::string Setting::text() const {
  struct Printer {
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return float_text(value); }
    std::string operator()(const std::string& value) const { return quoted(value); }
    std::string operator()(const Array& array) const {
      std::vector<std::string> parts;
      for (const Setting& element : array) parts.push_back(element.text());
      return '[' + list_words(parts, ", ") + ']';
    }
    std::string operator()(const Table& table) const {
      if (table.empty()) return "{}";
      std::vector<std::string> parts;
      for (const Entry& entry : table) {
        const std::string key = is_bare_key(entry.key) ? entry.key : quoted(entry.key);
        parts.push_back(key + " = " + entry.value.text());
      }
      return "{ " + list_words(parts, ", ") + " }";
    }
  };
  return std::visit(Printer{}, value);
}

std::string_view Setting::kind() const {
  constexpr std::string_view kKinds[] = {"boolean", "integer", "float", "string", "array", "table"};
  return kKinds[value.index()];
}

Rule at_least(double least) {
  return number_rule("at least " + bound_text(least), [least](double x) { return x >= least; });
}

Rule between(double least, double most) {
  return number_rule(concat("between ", bound_text(least), " and ", bound_text(most)),
                     [least, most](double x) { return x >= least && x <= most; });
}

Rule positive() {
  return number_rule("greater than 0", [](double x) { return x > 0; });
}

Rule one_of_numbers(std::vector<int64_t> numbers) {
  std::vector<std::string> words;
  for (const int64_t number : numbers) words.push_back(std::to_string(number));
  return {list_words(words),
          [numbers = std::move(numbers)](const Setting& s) {
            const double value = number_of(s);
            return std::any_of(numbers.begin(), numbers.end(),
                               [value](int64_t n) { return static_cast<double>(n) == value; });
          },
          {}};
}

Rule one_of_names(std::vector<std::string> names) {
  std::vector<std::string> words;
  for (const std::string& name : names) words.push_back(quoted(name));
  auto accepts = [names](const Setting& s) {
    const auto* word = std::get_if<std::string>(&s.value);
    return word != nullptr && std::find(names.begin(), names.end(), *word) != names.end();
  };
  return {list_words(words), std::move(accepts), std::move(names)};
}

const OptionSpec* OptionTable::find(std::string_view name) const {
  const auto at = std::find_if(specs_.begin(), specs_.end(),
                               [name](const OptionSpec& spec) { return spec.name == name; });
  return at == specs_.end() ? nullptr : &*at;
}

Setting::Table OptionTable::write(const void* object) const {
  Setting::Table table;
  for (const OptionSpec& spec : specs_) table.push_back({spec.name, {}, spec.write(object)});
  return table;
}

void OptionTable::add(OptionSpec spec) {
  if (find(spec.name) != nullptr) {
    fail(Failure::usage, "option '", spec.name, "': found it described twice; expected once");
  }
  if (!all_finite(spec.default_value)) {
    fail(Failure::usage, "option '", spec.name, "': found the default ", spec.default_value,
         "; expected a finite number, for a recipe holds no other");
  }
  specs_.push_back(std::move(spec));
}

void read_options(std::span<const OptionTarget> targets, const Setting::Table& settings,
                  std::string_view section) {
  for (const Setting::Entry& entry : settings) {
    const auto knows = [&entry](const OptionTarget& t) { return t.table->find(entry.key); };
    const auto target = std::find_if(targets.begin(), targets.end(), knows);
    if (target == targets.end()) refuse_unknown(entry, targets, section);
    read_option(*target->table->find(entry.key), target->object, entry, section);
  }
}

namespace detail {

bool read_bool(const Setting& setting) {
  if (const auto* value = std::get_if<bool>(&setting.value)) return *value;
  throw Mismatch(setting, "true or false");
}

int64_t read_integer(const Setting& setting, int64_t least, int64_t most) {
  const auto* value = std::get_if<int64_t>(&setting.value);
  if (value == nullptr) throw Mismatch(setting, "an integer");
  if (*value < least || *value > most) {
    throw Mismatch(setting, concat("an integer between ", least, " and ", most));
  }
  return *value;
}

double read_number(const Setting& setting) {
  if (const auto* value = std::get_if<int64_t>(&setting.value)) return static_cast<double>(*value);
  const auto* value = std::get_if<double>(&setting.value);
  if (value == nullptr) throw Mismatch(setting, "a number");
  if (!std::isfinite(*value)) throw Mismatch(setting, "a finite number");
  return *value;
}

std::string read_string(const Setting& setting) {
  if (const auto* value = std::get_if<std::string>(&setting.value)) return *value;
  throw Mismatch(setting, "a string");
}

const Setting::Array& read_array(const Setting& setting, size_t expected_size) {
  const auto* value = std::get_if<Setting::Array>(&setting.value);
  if (value == nullptr) throw Mismatch(setting, "a list, such as [1, 2]");
  if (expected_size != 0 && value->size() != expected_size) {
    throw Mismatch(setting, concat("a list of ", expected_size, " values"));
  }
  return *value;
}

const Setting::Table& read_table(const Setting& setting) {
  if (const auto* value = std::get_if<Setting::Table>(&setting.value)) return *value;
  throw Mismatch(setting, "a table, such as { key = 1 }");
}

size_t read_name(const Setting& setting, std::span<const std::string_view> names) {
  const auto* word = std::get_if<std::string>(&setting.value);
  const auto at = word == nullptr ? names.end() : std::find(names.begin(), names.end(), *word);
  if (at != names.end()) return static_cast<size_t>(at - names.begin());
  std::vector<std::string> known(names.begin(), names.end()), words;
  for (const std::string& name : known) words.push_back(quoted(name));
  throw Mismatch(setting, list_words(words), word == nullptr ? "" : did_you_mean(*word, known));
}

std::string choice_type(std::span<const std::string_view> names) {
  const std::vector<std::string> words(names.begin(), names.end());
  return "name (" + list_words(words) + ')';
}

double shortest_decimal(float value) { return std::stod(fmt::format("{}", value)); }

}  // namespace detail
}  // namespace lockstep
