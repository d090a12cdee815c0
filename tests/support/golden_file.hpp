// Texts kept in tests/goldens and compared line by line; LOCKSTEP_REWRITE_GOLDENS=1 writes them
// anew.
#pragma once

#include <string>
#include <string_view>

namespace lockstep::testing {

// Fails the current test where `text` differs from tests/goldens/<name>, showing the first
// difference.
void expect_golden(std::string_view name, const std::string& text);

}  // namespace lockstep::testing
