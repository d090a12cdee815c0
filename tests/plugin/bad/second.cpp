// Registers the name of another plugin.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;
Value model(Scope, Value image, int64_t, const NoOptions&) { return image; }
}  // namespace

LS_PLUGIN(second, registry) { registry.model("first", model); }
