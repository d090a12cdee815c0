// Sound, and registers a name that the plugin "second" wants too.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;
Value model(Scope, Value image, int64_t, const NoOptions&) { return image; }
}  // namespace

LS_PLUGIN(first, registry) { registry.model("first", model, "what is seen first"); }
