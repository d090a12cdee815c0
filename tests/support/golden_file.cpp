#include "support/golden_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace lockstep::testing {

void expect_golden(std::string_view name, const std::string& text) {
  const std::string path = std::string(LOCKSTEP_SOURCE_DIR) + "/tests/goldens/" + std::string(name);
  if (std::getenv("LOCKSTEP_REWRITE_GOLDENS") != nullptr) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; LOCKSTEP_REWRITE_GOLDENS=1 writes it";
  std::istringstream actual(text);
  std::string want, have;
  for (int line = 1;; ++line) {
    const bool more_wanted = static_cast<bool>(std::getline(file, want));
    const bool more_given = static_cast<bool>(std::getline(actual, have));
    if (!more_wanted && !more_given) return;
    ASSERT_TRUE(more_wanted) << path << ":" << line << ": ends; the text goes on: " << have;
    ASSERT_TRUE(more_given) << path << ":" << line << ": the text ends; expected: " << want;
    ASSERT_EQ(have, want) << path << ":" << line;
  }
}

}  // namespace lockstep::testing
