// An addition for the cpu device that cannot be prepared.
#include <lockstep/plugin.hpp>

namespace {
using namespace lockstep;

std::unique_ptr<Kernel> throwing_add(const KernelRequest& request) {
  fail(Failure::device, request.label, ": no addition today");
}

}  // namespace

LS_PLUGIN(throwing_add, registry) { registry.kernel("cpu", "add", throwing_add); }
