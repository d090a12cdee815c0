// Registers a model and then throws.
#include <lockstep/plugin.hpp>

#include <stdexcept>

namespace {
using namespace lockstep;
Value model(Scope, Value image, int64_t, const NoOptions&) { return image; }
}  // namespace

LS_PLUGIN(throws, registry) {
  registry.model("throws", model);
  registry.kernel("reference", "half_registered", nullptr);
  throw std::runtime_error("the answer is not 42");
}
