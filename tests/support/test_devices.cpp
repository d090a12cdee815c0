#include "support/test_devices.hpp"

#include <map>
#include <memory>

#include "plugin/registry.hpp"

namespace lockstep::test {
namespace {

Registry& test_registry() {
  static Registry registry;
  return registry;
}

}  // namespace

Device& test_device(const std::string& name) {
  // Never destroyed: at the end of the process a GPU's runtime may be gone before them.
  static auto& devices = *new std::map<std::string, std::unique_ptr<Device>>;
  std::unique_ptr<Device>& device = devices[name];
  if (device == nullptr)
    device = test_registry().find_device(name).make({.threads = 2, .tf32 = false});
  return *device;
}

std::string missing_device(const std::string& name) {
  static std::map<std::string, std::string> reasons;
  const auto known = reasons.find(name);
  if (known != reasons.end()) return known->second;
  std::string& reason = reasons[name];
  try {
    test_device(name);
  } catch (const Error& error) {
    if (error.failure() != Failure::device) throw;  // no plugin, or one that cannot be opened
    reason = error.what();
  }
  return reason;
}

const OpRegistry& test_ops() { return test_registry().ops(); }

}  // namespace lockstep::test
