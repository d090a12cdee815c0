// Registers one name twice.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;
Value model(Scope, Value image, int64_t, const NoOptions&) { return image; }
}  // namespace

LS_PLUGIN(twice, registry) {
  registry.model("twice", model);
  registry.model("twice", model);
}
