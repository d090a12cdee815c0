#include "plugin/twin.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include "plugin/loader.hpp"
#include "plugin/registry.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// What a twin registers goes into a registry of its own, of which nothing but the launches counts.
const FunctorLaunches& open_twin(const std::string& plugin, std::string_view what) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Registry>> opened;
  const std::string path = twin_path(plugin);
  const std::lock_guard lock(mutex);
  std::unique_ptr<Registry>& registry = opened[path];
  if (registry != nullptr) return registry->functor_launches();
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    fail(Failure::device, what, ": was built without CUDA: there is no ", path,
         "; rebuild it where nvcc is: ", rebuild_command());
  }
  auto candidate = std::make_unique<Registry>();
  try {
    candidate->open(path);
  } catch (const Error& e) {
    fail(Failure::device, what, ": ", e.what());
  }
  registry = std::move(candidate);
  return registry->functor_launches();
}

template <class Table>
const typename Table::mapped_type& find(const Table& table, std::string_view name,
                                        const std::string& plugin, std::string_view what) {
  const auto found = table.find(name);
  if (found != table.end()) return found->second;
  fail(Failure::device, what, ": ", twin_path(plugin),
       " does not register it; rebuild it from the source of ", plugin, ": ", rebuild_command());
}

}  // namespace

std::string twin_path(std::string_view plugin) {
  return fs::path(plugin).replace_extension(".cuda.so").string();
}

LaunchUpdate find_update_launch(const std::string& plugin, std::string_view optimizer) {
  const std::string what = concat("optimizer ", optimizer);
  return find(open_twin(plugin, what).optimizers, optimizer, plugin, what);
}

PointwiseLaunches find_pointwise_launches(const std::string& plugin, std::string_view op) {
  const std::string what = concat("op ", op);
  constexpr std::string_view kGradient = "_grad";
  const FunctorLaunches& launches = open_twin(plugin, what);
  if (op.ends_with(kGradient) && !launches.pointwise.contains(op)) {
    op.remove_suffix(kGradient.size());
  }
  return find(launches.pointwise, op, plugin, what);
}

}  // namespace lockstep
