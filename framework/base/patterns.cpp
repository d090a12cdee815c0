#include "base/patterns.hpp"

#include <fnmatch.h>

#include <algorithm>

namespace lockstep {
namespace {

bool is_exclusion(std::string_view pattern) { return pattern.starts_with('!'); }

bool fits(std::string_view pattern, const std::string& name) {
  if (is_exclusion(pattern)) pattern.remove_prefix(1);
  const std::string itself(pattern);
  const std::string below = itself + ".*";
  return fnmatch(itself.c_str(), name.c_str(), 0) == 0 ||
         fnmatch(below.c_str(), name.c_str(), 0) == 0;
}

}  // namespace

bool NamePatterns::covers(std::string_view name) const {
  const std::string text(name);
  const auto last = std::find_if(patterns_.rbegin(), patterns_.rend(),
                                 [&](const std::string& pattern) { return fits(pattern, text); });
  return last != patterns_.rend() && !is_exclusion(*last);
}

std::string NamePatterns::find_idle(const std::vector<std::string>& names) const {
  for (const std::string& pattern : patterns_) {
    const auto fits_it = [&](const std::string& name) { return fits(pattern, name); };
    if (std::none_of(names.begin(), names.end(), fits_it)) return pattern;
  }
  return {};
}

}  // namespace lockstep
