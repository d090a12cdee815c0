// What plugins register, by kind and name. Filled through LS_PLUGIN by one plugin file at a time.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/options.hpp"
#include "data/dataset.hpp"
#include "device/communicator.hpp"
#include "device/device.hpp"
#include "device/functor_launches.hpp"
#include "graph/nn.hpp"
#include "graph/op.hpp"
#include "train/optimizer.hpp"
#include "train/schedule.hpp"

namespace lockstep {

enum class Kind : uint8_t {
  model,
  dataset,
  transform,
  optimizer,
  schedule,
  device,
  communicator,
  op
};
std::string_view name(Kind kind);    // "model"
std::string_view folder(Kind kind);  // "models": where plugins of this kind lie

// A registered thing: what it is, its options, and how to make one from them.
template <class Make>
struct Entry {
  std::string name;
  std::string help;
  std::string plugin;          // the file it came from
  const OptionTable* options;  // may be empty, never null
  std::function<Make> make;
};

// What a model is usually given, for commands that have no recipe: as the weights that people have
// were trained.
struct ModelInput {
  std::array<int64_t, 3> image{3, 224, 224};  // (C, H, W), cut out of the middle of a picture
  int64_t classes = 1000;
  int64_t resize = 256;                    // the picture's shorter side before that
  double mean[3] = {0.485, 0.456, 0.406};  // of three channels; other numbers of them have none
  double std[3] = {0.229, 0.224, 0.225};
};

struct ModelEntry : Entry<ModelOutput(Scope, Value image, int64_t classes, const Setting::Table&)> {
  ModelInput usual;
};
using DatasetEntry = Entry<std::unique_ptr<Dataset>(const DatasetSource&, const Setting::Table&)>;
using TransformEntry = Entry<std::unique_ptr<Transform>(const Setting::Table&)>;
using OptimizerEntry = Entry<std::shared_ptr<const Optimizer>(const Setting::Table&)>;
using ScheduleEntry = Entry<ScheduleFunction(const Setting::Table&)>;

// What can be told of a device without making one.
struct DeviceFacts {
  std::string unusable;  // why none can be made on this host, in one line; empty: one can
  std::vector<std::pair<std::string, std::string>> facts;  // "driver", "13.0", …
};
struct DeviceEntry : Entry<std::unique_ptr<Device>(const DeviceOptions&)> {
  // Never throws; none: it can be made anywhere, and there is nothing to tell.
  std::function<DeviceFacts()> probe;
};

using CommunicatorEntry = Entry<std::unique_ptr<Communicator>(const CommunicatorOptions&)>;

// A kernel that a plugin brings for an op on a device that the plugin does not own.
using KernelFactory = std::function<std::unique_ptr<Kernel>(const KernelRequest&)>;

class Registry {
 public:
  Registry();  // with the framework's ops

  // --- what a plugin calls. A name twice, or an option named like a key of the framework, throws
  // Error{usage}.

  // Value or ModelOutput build(Scope, Value image, int64_t classes, const O& options)
  template <class Result, class O>
  void model(std::string name, Result (*build)(Scope, Value, int64_t, const O&),
             std::string help = {}, ModelInput usual = {});
  // D(const DatasetSource&, const O& options)
  template <class D, class O = NoOptions>
  void dataset(std::string name, std::string help = {});
  // T(const O& options)
  template <class T, class O = NoOptions>
  void transform(std::string name, std::string help = {});
  template <class Functor>
  void optimizer(std::string name, std::string help = {});
  template <class O>
  void schedule(std::string name, double (*rate)(const ScheduleArguments&, const O&),
                std::string help = {});
  // Functor: LS_HD static float forward(float x); LS_HD static float backward(float y, float dy).
  // Adds NAME and NAME_grad.
  template <class Functor>
  void pointwise(std::string name, std::string help = {});
  void op(OpDef definition);
  void kernel(std::string device, std::string op, KernelFactory factory);
  void device(std::string name, std::function<std::unique_ptr<Device>(const DeviceOptions&)> make,
              std::string help = {}, std::function<DeviceFacts()> probe = nullptr);
  void communicator(std::string name,
                    std::function<std::unique_ptr<Communicator>(const CommunicatorOptions&)> make,
                    std::string help = {});

  // --- what the framework asks. Opens the plugin NAME.so of that kind on first need; an unknown
  // name throws Error{usage} with the known ones and a suggestion.
  const ModelEntry& find_model(std::string_view name);
  const DatasetEntry& find_dataset(std::string_view name);
  const TransformEntry& find_transform(std::string_view name);
  const OptimizerEntry& find_optimizer(std::string_view name);
  const ScheduleEntry& find_schedule(std::string_view name);
  const DeviceEntry& find_device(std::string_view name);
  const CommunicatorEntry& find_communicator(std::string_view name);
  const OpRegistry& ops() const { return ops_; }
  const KernelFactory* find_kernel(std::string_view device, std::string_view op) const;
  // What a twin registers in place of optimizers and pointwise ops; see plugin/twin.hpp.
  const FunctorLaunches& functor_launches() const { return functor_launches_; }

  // Opens every plugin in the search path; those that do not open are listed with the reason.
  struct Listed {
    Kind kind;
    std::string name;
    std::string help;
    std::string plugin;
    const OptionTable* options;
  };
  std::vector<Listed> list_all(std::vector<std::string>* refused);

  // Opens one plugin file and lets it register; what a plugin that fails has registered so far is
  // forgotten again. Throws Error{usage} that says why the plugin is refused.
  void open(const std::string& path);

 private:
  template <class E>
  using Table = std::map<std::string, E, std::less<>>;
  template <class E>
  const E& find(Kind kind, Table<E>& table, std::string_view name);
  template <class E>
  void add(Kind kind, Table<E>& table, E entry);
  void check_options(Kind kind, std::string_view name, const OptionTable& options) const;
  void open_op_plugins();
  void forget(std::string_view plugin);

  void add_model(ModelEntry entry);
  void add_dataset(DatasetEntry entry);
  void add_transform(TransformEntry entry);
  void add_optimizer(OptimizerEntry entry);
  void add_schedule(ScheduleEntry entry);
  void add_pointwise(std::string name, PointwiseLoops loops, std::string help);

  Table<ModelEntry> models_;
  Table<DatasetEntry> datasets_;
  Table<TransformEntry> transforms_;
  Table<OptimizerEntry> optimizers_;
  Table<ScheduleEntry> schedules_;
  Table<DeviceEntry> devices_;
  Table<CommunicatorEntry> communicators_;
  OpRegistry ops_;
  std::map<std::pair<std::string, std::string>, KernelFactory> kernels_;
  FunctorLaunches functor_launches_;
  std::set<std::string> opened_;
  std::string current_plugin_;
};

}  // namespace lockstep
