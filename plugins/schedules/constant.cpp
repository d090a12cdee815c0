// The same rate throughout.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

double constant(const ScheduleArguments& a, const NoOptions&) { return a.lr; }

}  // namespace

LS_PLUGIN(constant, registry) {
  registry.schedule("constant", constant, "the same rate throughout");
}
