// Patterns over dotted names, such as those of parameters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

// `*` stands for any characters and `?` for one. A pattern covers what it names and all below it:
// "layer4" covers "layer4.0.conv1.weight", but not "layer40.weight". A leading `!` takes names out
// again; the last pattern that fits decides: {"*", "!fc"} is everything but fc.
class NamePatterns {
 public:
  NamePatterns() = default;
  explicit NamePatterns(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {}

  bool empty() const { return patterns_.empty(); }
  bool covers(std::string_view name) const;
  // The first pattern that fits none of the names; empty if there is none such.
  std::string find_idle(const std::vector<std::string>& names) const;

 private:
  std::vector<std::string> patterns_;
};

}  // namespace lockstep
