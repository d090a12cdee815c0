// What a process knows of its place.
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/host.hpp"
#include "base/text.hpp"
#include "base/versions.hpp"
#include "plugin/abi_id.h"
#include "plugin/loader.hpp"
#include "runtime/guard.hpp"
#include "train/session.hpp"
#include "train/site.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// models/resnet.so for a plugin in the folder of its kind, or its name alone.
std::string short_name(const fs::path& plugin) {
  const fs::path kind = plugin.parent_path().filename();
  return (kind / plugin.filename()).string();
}

// The files whose code this run executes, apart from the system's libraries.
void add_files(Facts& facts, const Recipe& recipe, Registry& registry) {
  std::error_code ignored;
  Dl_info library{};
  if (dladdr(reinterpret_cast<void*>(&process_place), &library) != 0 && library.dli_fname)
    facts["file liblockstep.so"] = file_digest(library.dli_fname);
  facts["file lockstep"] = file_digest("/proc/self/exe");

  std::vector<std::string> plugins = {
      registry.find_communicator(communicator_name(recipe, registry)).plugin,
      registry.find_device(device_name(recipe, registry)).plugin,
  };
  if (!recipe.model.name.empty()) {
    plugins.push_back(registry.find_model(recipe.model.name).plugin);
    plugins.push_back(registry.find_dataset(recipe.data.name).plugin);
    plugins.push_back(registry.find_optimizer(recipe.optimizer.name).plugin);
    plugins.push_back(registry.find_schedule(recipe.schedule.name).plugin);
  }
  for (const auto* sections : {&recipe.data.train_transforms, &recipe.data.eval_transforms}) {
    for (const TransformSection& section : *sections)
      plugins.push_back(registry.find_transform(section.name).plugin);
  }
  for (const PluginFile& file : find_plugins(folder(Kind::op))) plugins.push_back(file.path);
  for (const std::string& plugin : plugins)
    facts["file " + short_name(plugin)] = file_digest(plugin);
}

// What a process's /proc/PID/status says of one of its keys.
std::string status_of(pid_t process, std::string_view key) {
  std::ifstream file(concat("/proc/", process, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    return line.substr(std::min(line.size(), line.find_first_not_of(" \t", key.size())));
  }
  return {};
}

// mpirun, or its daemon on this host, which is not bound to cores as its ranks are; 0: not found.
pid_t launcher() {
  constexpr std::string_view kNames[] = {"mpirun", "mpiexec", "orterun",
                                         "orted",  "prterun", "prted"};
  constexpr int kMostScripts = 8;  // between it and the rank
  pid_t process = getppid();
  for (int i = 0; i < kMostScripts && process > 1; ++i) {
    const std::string name = status_of(process, "Name:");
    if (std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames)) return process;
    process = std::atoi(status_of(process, "PPid:").c_str());
  }
  return 0;
}

// How many cores the job has on this host.
size_t cores_of_host(const std::vector<int>& mine) {
  if (const pid_t process = launcher(); process != 0)
    return std::max(mine.size(), usable_cores(process).size());
  if (const char* cores = std::getenv("SLURM_CPUS_ON_NODE"))
    return std::max<size_t>(mine.size(), std::strtoul(cores, nullptr, 10));
  return mine.size();
}

}  // namespace

Facts site_facts(const Recipe& recipe, Registry& registry, CommunicationThread& communication) {
  const std::vector<int> cores = usable_cores();
  Facts facts{
      {"host", host_name()},
      {"machine", machine_id()},
      {"version of lockstep", lockstep_version()},
      {"ABI id", LOCKSTEP_ABI_ID},
      {"libraries", concat(registry.find_communicator(communicator_name(recipe, registry)).help,
                           "; ", registry.find_device(device_name(recipe, registry)).help)},
      {"kind of device", device_name(recipe, registry)},
      {"instruction set", instruction_set()},
      {"cores", ranges_text(cores)},
      {"cores of host", std::to_string(cores_of_host(cores))},
      {"threads", std::to_string(recipe.device.threads)},
      {"workers", std::to_string(recipe.data.workers)},
      {"open files", std::to_string(raise_open_files())},
  };
  if (communication.world_size() > 1) add_files(facts, recipe, registry);
  communication.barrier("clocks");
  using Seconds = std::chrono::duration<double>;
  facts["clock"] =
      std::to_string(Seconds(std::chrono::system_clock::now().time_since_epoch()).count());
  return facts;
}

Facts place_facts(const Device& device) {
  Facts facts{{"host", host_name()}, {"machine", machine_id()}};
  if (const std::string id = device.unique_id(); !id.empty()) facts["device id"] = id;
  return facts;
}

std::vector<Facts> gather_facts(const Facts& mine, CommunicationThread& communication) {
  std::vector<Facts> all;
  for (const std::string& text :
       communication.gather(nlohmann::json(mine).dump(), "facts of the site")) {
    all.push_back(nlohmann::json::parse(text).get<Facts>());
  }
  return all;
}

}  // namespace lockstep
