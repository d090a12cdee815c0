#include "plugin/registry.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "graph/pointwise.hpp"
#include "plugin/loader.hpp"
#include "recipe/keys.hpp"

namespace lockstep {

namespace {

struct KindNames {
  std::string_view name;
  std::string_view folder;
  std::string_view section;  // of a recipe, whose keys the plugin's options share
};
constexpr std::array<KindNames, 8> kKinds{{{"model", "models", "model"},
                                           {"dataset", "datasets", "data"},
                                           {"transform", "transforms", "transform"},
                                           {"optimizer", "optimizers", "optimizer"},
                                           {"schedule", "schedules", "schedule"},
                                           {"device", "devices", ""},
                                           {"communicator", "communicators", ""},
                                           {"op", "ops", ""}}};

const KindNames& names(Kind kind) { return kKinds[static_cast<size_t>(kind)]; }

template <class Table>
void append_names(std::vector<std::string>& known, const Table& table) {
  for (const auto& [name, entry] : table) known.push_back(name);
}

template <class Table>
void append_listed(std::vector<Registry::Listed>& list, Kind kind, const Table& table) {
  for (const auto& [name, entry] : table) {
    list.push_back({kind, name, entry.help, entry.plugin, entry.options});
  }
}

template <class Table>
void erase_plugin(Table& table, std::string_view plugin) {
  std::erase_if(table, [&](const auto& item) { return item.second.plugin == plugin; });
}

}  // namespace

std::string_view name(Kind kind) { return names(kind).name; }
std::string_view folder(Kind kind) { return names(kind).folder; }

Registry::Registry() { add_framework_ops(ops_); }

// --- what plugins register

void Registry::check_options(Kind kind, std::string_view name, const OptionTable& options) const {
  const std::string_view section = names(kind).section;
  if (section.empty()) return;
  for (const std::string& key : framework_keys(section)) {
    if (options.find(key) == nullptr) continue;
    fail(Failure::usage, lockstep::name(kind), ' ', name, ": has an option '", key, "'; in [",
         section, "] this is a key of the framework; give the option another name");
  }
}

template <class E>
void Registry::add(Kind kind, Table<E>& table, E entry) {
  check_options(kind, entry.name, *entry.options);
  const auto it = table.find(entry.name);
  if (it != table.end()) {
    fail(Failure::usage, name(kind), ' ', entry.name, ": registered twice, by ", it->second.plugin,
         " and by ", entry.plugin, "; rename one of the two or remove its file");
  }
  std::string key = entry.name;
  table.emplace(std::move(key), std::move(entry));
}

void Registry::add_model(ModelEntry entry) { add(Kind::model, models_, std::move(entry)); }
void Registry::add_dataset(DatasetEntry entry) { add(Kind::dataset, datasets_, std::move(entry)); }
void Registry::add_transform(TransformEntry entry) {
  add(Kind::transform, transforms_, std::move(entry));
}
void Registry::add_optimizer(OptimizerEntry entry) {
  add(Kind::optimizer, optimizers_, std::move(entry));
}
void Registry::add_schedule(ScheduleEntry entry) {
  add(Kind::schedule, schedules_, std::move(entry));
}

void Registry::device(std::string name,
                      std::function<std::unique_ptr<Device>(const DeviceOptions&)> make,
                      std::string help, std::function<DeviceFacts()> probe) {
  add(Kind::device, devices_,
      DeviceEntry{{std::move(name), std::move(help), current_plugin_, &options_of<NoOptions>(),
                   std::move(make)},
                  std::move(probe)});
}

void Registry::communicator(
    std::string name, std::function<std::unique_ptr<Communicator>(const CommunicatorOptions&)> make,
    std::string help) {
  add(Kind::communicator, communicators_,
      CommunicatorEntry{std::move(name), std::move(help), current_plugin_, &options_of<NoOptions>(),
                        std::move(make)});
}

void Registry::op(OpDef definition) {
  definition.plugin = current_plugin_;
  ops_.add(std::move(definition));
}

void Registry::add_pointwise(std::string name, PointwiseLoops loops, std::string help) {
  op(pointwise_op(name, loops, std::move(help)));
  op(pointwise_grad_op(name, loops));
}

void Registry::kernel(std::string device, std::string op, KernelFactory factory) {
  std::string text = concat("kernel of op ", op, " on device ", device);
  if (!kernels_.emplace(std::pair(std::move(device), std::move(op)), std::move(factory)).second) {
    fail(Failure::usage, text, ": registered twice; remove one of the two");
  }
}

const KernelFactory* Registry::find_kernel(std::string_view device, std::string_view op) const {
  const auto it = kernels_.find(std::pair(std::string(device), std::string(op)));
  return it == kernels_.end() ? nullptr : &it->second;
}

// --- opening plugins

void Registry::open(const std::string& path) {
  if (opened_.contains(path)) return;
  const lockstep_plugin& plugin = open_plugin(path);
  const OpRegistry ops_before = ops_;
  const auto kernels_before = kernels_;
  std::array<char, 2048> error{};
  current_plugin_ = path;
  const int status = plugin.register_into(this, error.data(), error.size());
  current_plugin_.clear();
  if (status != 0) {
    forget(path);
    ops_ = ops_before;
    kernels_ = kernels_before;
    error.back() = '\0';
    fail(Failure::usage, "plugin ", path, ": could not register: ", error.data());
  }
  opened_.insert(path);
}

void Registry::forget(std::string_view plugin) {
  erase_plugin(models_, plugin);
  erase_plugin(datasets_, plugin);
  erase_plugin(transforms_, plugin);
  erase_plugin(optimizers_, plugin);
  erase_plugin(schedules_, plugin);
  erase_plugin(devices_, plugin);
  erase_plugin(communicators_, plugin);
}

// Recipes name no ops: those of plugins must be there before a model asks for them.
void Registry::open_op_plugins() {
  for (const PluginFile& file : find_plugins(folder(Kind::op))) {
    if (!file.folder.empty()) open(file.path);
  }
}

template <class E>
const E& Registry::find(Kind kind, Table<E>& table, std::string_view wanted) {
  if (const auto it = table.find(wanted); it != table.end()) return it->second;
  std::vector<std::string> known;
  std::string opened;
  for (const PluginFile& file : find_plugins(folder(kind))) {
    if (!file.folder.empty()) known.push_back(file.name);
    if (file.name != wanted) continue;
    open(file.path);
    if (const auto it = table.find(wanted); it != table.end()) return it->second;
    opened = file.path;
  }
  append_names(known, table);
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  if (!opened.empty()) {
    fail(Failure::usage, name(kind), " '", wanted, "': the plugin ", opened, " registers no ",
         name(kind), " of this name; a plugin registers what its file is named after");
  }
  const std::string choice =
      known.empty() ? std::string("none was found") : "known are " + list_words(known, " and ");
  fail(Failure::usage, name(kind), " '", wanted, "': there is no such ", name(kind), " in ",
       search_path_text(), "; ", choice, did_you_mean(wanted, known));
}

const ModelEntry& Registry::find_model(std::string_view name) {
  open_op_plugins();
  return find(Kind::model, models_, name);
}
const DatasetEntry& Registry::find_dataset(std::string_view name) {
  return find(Kind::dataset, datasets_, name);
}
const TransformEntry& Registry::find_transform(std::string_view name) {
  return find(Kind::transform, transforms_, name);
}
const OptimizerEntry& Registry::find_optimizer(std::string_view name) {
  return find(Kind::optimizer, optimizers_, name);
}
const ScheduleEntry& Registry::find_schedule(std::string_view name) {
  return find(Kind::schedule, schedules_, name);
}
const DeviceEntry& Registry::find_device(std::string_view name) {
  return find(Kind::device, devices_, name);
}
const CommunicatorEntry& Registry::find_communicator(std::string_view name) {
  return find(Kind::communicator, communicators_, name);
}

std::vector<Registry::Listed> Registry::list_all(std::vector<std::string>* refused) {
  for (const PluginFile& file : find_plugins()) {
    try {
      open(file.path);
    } catch (const Error& e) {
      if (refused != nullptr) refused->push_back(e.what());
    }
  }
  std::vector<Listed> list;
  append_listed(list, Kind::model, models_);
  append_listed(list, Kind::dataset, datasets_);
  append_listed(list, Kind::transform, transforms_);
  append_listed(list, Kind::optimizer, optimizers_);
  append_listed(list, Kind::schedule, schedules_);
  append_listed(list, Kind::device, devices_);
  append_listed(list, Kind::communicator, communicators_);
  for (const auto& [name, op] : ops_.all()) {
    list.push_back({Kind::op, name, op.help, {}, &options_of<NoOptions>()});
  }
  return list;
}

}  // namespace lockstep
