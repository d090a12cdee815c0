// Sound; its model throws Error when it is built, which must arrive as Error{data} on the other
// side.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;
Value model(Scope, Value, int64_t, const NoOptions&) {
  fail(Failure::data, "thrown inside a plugin");
}
}  // namespace

LS_PLUGIN(fails_later, registry) { registry.model("fails_later", model); }
