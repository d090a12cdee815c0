// How a broken assertion ends the process.
#include "base/error.hpp"

#include <cstdio>
#include <cstdlib>

namespace lockstep {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "%s:%d: assertion failed: %s (a mistake in the program, not in its input)\n",
               file, line, condition);
  std::abort();
}

}  // namespace lockstep
