// Suggestions, lists, sizes and durations for people.
//
// The distance is "optimal string alignment": insertions, deletions, substitutions and swaps of
// neighbours, where no part of a word is edited twice (Oommen and Loke, 1997).
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <tuple>

namespace lockstep {
namespace {

int edit_distance(std::string_view a, std::string_view b) {
  const size_t columns = b.size() + 1;
  // Rows i - 2, i - 1 and i of the usual table.
  std::array<std::vector<int>, 3> rows;
  for (std::vector<int>& row : rows) row.resize(columns);
  std::vector<int>*before = &rows[0], *last = &rows[1], *current = &rows[2];
  for (size_t j = 0; j < columns; ++j) (*last)[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    (*current)[0] = static_cast<int>(i);
    for (size_t j = 1; j < columns; ++j) {
      const int substituted = (*last)[j - 1] + (a[i - 1] != b[j - 1]);
      int least = std::min({(*last)[j] + 1, (*current)[j - 1] + 1, substituted});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        least = std::min(least, (*before)[j - 2] + 1);
      }
      (*current)[j] = least;
    }
    std::swap(before, last);
    std::swap(last, current);
  }
  return (*last)[b.size()];
}

int common_prefix(std::string_view a, std::string_view b) {
  const auto end = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first;
  return static_cast<int>(end - a.begin());
}

}  // namespace

std::string nearest_word(std::string_view word, std::span<const std::string> known) {
  const int limit = std::max(1, static_cast<int>(word.size()) / 3) + 1;
  // Among equally distant words the one that begins alike, for people rarely mistype a first
  // letter.
  std::tuple<int, int> best{limit + 1, 0};
  std::string nearest;
  for (const std::string& candidate : known) {
    // Nothing of a word that must be rewritten whole is a typing mistake.
    const int distance = edit_distance(word, candidate);
    if (distance >= static_cast<int>(std::max(word.size(), candidate.size()))) continue;
    const std::tuple<int, int> rank{distance, -common_prefix(word, candidate)};
    if (rank >= best) continue;
    best = rank;
    nearest = candidate;
  }
  return nearest;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
  const std::string nearest = nearest_word(word, known);
  return nearest.empty() ? "" : "; did you mean '" + nearest + "'?";
}

std::string list_words(std::span<const std::string> words, std::string_view last) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? last : std::string_view(", ");
    text += words[i];
  }
  return text;
}

std::string ranges_text(std::span<const int> numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ",", numbers[i]);
    if (end - i > 1) text += fmt::format("-{}", numbers[end - 1]);
    i = end;
  }
  return text;
}

std::vector<int> read_ranges(std::string_view text) {
  std::vector<int> numbers;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    int first = 0;
    const char* const end = part.data() + part.size();
    const auto [after_first, error] = std::from_chars(part.data(), end, first);
    if (error != std::errc()) continue;
    int last = first;
    if (after_first != end && *after_first == '-') std::from_chars(after_first + 1, end, last);
    for (int number = first; number <= last; ++number) numbers.push_back(number);
  }
  return numbers;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string bytes_text(int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  double amount = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would be printed as 1024.0.
  while (amount >= 1023.95 && unit + 1 < std::size(kUnits)) {
    amount /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", amount, kUnits[unit]);
}

std::string count_text(int64_t count) {
  std::string text = fmt::format("{}", count);
  const size_t first = text.starts_with('-') ? 1 : 0;
  for (size_t at = text.size(); at > first + 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const int64_t whole = std::llround(seconds);
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  if (hours == 0) return fmt::format("{}:{:02}", minutes, rest);
  return fmt::format("{}:{:02}:{:02}", hours, minutes, rest);
}

std::string float_text(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

}  // namespace lockstep
