#include "cli/host_report.hpp"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <span>
#include <sstream>

#include "base/host.hpp"
#include "base/text.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// "MemTotal:  8123 kB" of /proc/meminfo, in bytes.
int64_t meminfo(std::string_view key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::atoll(line.c_str() + key.size()) << 10;
  }
  return 0;
}

int64_t total_bytes(const char* folder) {
  struct statvfs facts {};
  if (::statvfs(folder, &facts) != 0) return 0;
  return static_cast<int64_t>(facts.f_blocks) * static_cast<int64_t>(facts.f_frsize);
}

std::string kernel() {
  utsname names{};
  return uname(&names) == 0 ? std::string(names.sysname) + " " + names.release : "unknown";
}

Json open_file_limits() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return "unknown";
  return std::to_string(limit.rlim_cur) + " of at most " + std::to_string(limit.rlim_max);
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// Variables that begin so, apart from those that begin like one of `without`.
Json environment_with(std::initializer_list<std::string_view> prefixes,
                      std::span<const std::string_view> without = {}) {
  std::map<std::string, std::string> found;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const auto begins = [text](std::string_view prefix) { return text.starts_with(prefix); };
    if (!std::any_of(prefixes.begin(), prefixes.end(), begins)) continue;
    if (std::any_of(without.begin(), without.end(), begins)) continue;
    const size_t equals = text.find('=');
    found.emplace(text.substr(0, equals), text.substr(std::min(text.size(), equals + 1)));
  }
  Json json = Json::object();
  for (const auto& [name, value] : found) json[name] = value;
  return json;
}

// What mpirun tells its ranks by itself.
constexpr std::string_view kOfMpirun[] = {
    "OMPI_MCA_ess",           "OMPI_MCA_orte_",     "OMPI_MCA_initial_wdir", "OMPI_MCA_pmix=^",
    "OMPI_MCA_shmem_RUNTIME", "PMIX_MCA_mca_base_", "PMIX_MCA_psec="};

struct Printed {
  std::vector<std::string> lines;
  bool well = false;  // the program is there and ended with 0
};

// What a program prints within five seconds.
Printed run_program(const std::string& command) {
  Printed printed;
  FILE* pipe = popen(("timeout 5 " + command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return printed;
  char buffer[1024];
  std::string text;
  while (const size_t count = std::fread(buffer, 1, sizeof buffer, pipe))
    text.append(buffer, count);
  printed.well = pclose(pipe) == 0;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    printed.lines.push_back(line.substr(std::min(line.size(), line.find_first_not_of(" \t"))));
  return printed;
}

std::string address_text(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const void* const bytes =
      address->sa_family == AF_INET
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
          : static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
  inet_ntop(address->sa_family, bytes, text, sizeof text);
  return text;
}

// "10.0.0.2, 10000 Mbit/s" by interface; those that are down are left out.
Json interfaces() {
  Json json = Json::object();
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return json;
  for (const ifaddrs* it = first; it != nullptr; it = it->ifa_next) {
    if (it->ifa_addr == nullptr || (it->ifa_flags & IFF_UP) == 0) continue;
    const int family = it->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const std::string name = it->ifa_name;
    if (json.contains(name)) {
      json[name] = json[name].get<std::string>() + ", " + address_text(it->ifa_addr);
      continue;
    }
    const std::string speed = first_line("/sys/class/net/" + name + "/speed");
    json[name] =
        (speed.empty() || speed[0] == '-' ? "" : speed + " Mbit/s, ") + address_text(it->ifa_addr);
  }
  freeifaddrs(first);
  return json;
}

}  // namespace

Json host_report() {
  const std::vector<int> cores = usable_cores();
  return {{"processor", processor_name()},
          {"instruction_set", instruction_set()},
          {"cores_online", read_ranges(first_line("/sys/devices/system/cpu/online")).size()},
          {"numa_nodes", read_ranges(first_line("/sys/devices/system/node/online")).size()},
          {"memory_bytes", meminfo("MemTotal:")},
          {"memory_available_bytes", meminfo("MemAvailable:")},
          {"shared_memory_bytes", total_bytes("/dev/shm")},
          {"kernel", kernel()},
          {"open_files", open_file_limits()}};
}

Json network_report() {
  return {{"interfaces", interfaces()},
          {"infiniband", names_in("/sys/class/infiniband")},
          {"settings",
           environment_with({"OMPI_MCA_", "PMIX_MCA_", "UCX_", "I_MPI_", "MPICH_", "NCCL_", "FI_"},
                            kOfMpirun)}};
}

Json gpu_report() {
  Json devices = Json::array();
  for (const std::string& name : names_in("/dev")) {
    if (name.starts_with("nvidia") && name.size() > 6 &&
        name.find_first_not_of("0123456789", 6) == std::string::npos)
      devices.push_back("/dev/" + name);
  }
  Json models = Json::array();
  for (const std::string& gpu : names_in("/proc/driver/nvidia/gpus")) {
    const std::string line = first_line("/proc/driver/nvidia/gpus/" + gpu + "/information");
    const size_t begin = line.find_first_not_of(" \t", line.find(':') + 1);
    if (begin != std::string::npos) models.push_back(line.substr(begin));
  }
  void* const library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library != nullptr) dlclose(library);
  return {{"devices", devices},
          {"models", models},
          {"driver", first_line("/proc/driver/nvidia/version")},
          {"libcuda", library != nullptr}};
}

// What is mounted where the folder lies, "ext4"; in a changed root, which hides that, the number
// that statfs(2) knows it by.
std::string file_system_of(const std::string& path) {
  // The mount point with the longest path that the folder's begins with.
  std::string mount_point, type;
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, where, kind;
    words >> device >> where >> kind;
    const bool above = path == where || where == "/" || path.starts_with(where + "/");
    if (above && where.size() >= mount_point.size()) mount_point = where, type = kind;
  }
  struct statfs facts {};
  if (type.empty() && ::statfs(path.c_str(), &facts) == 0)
    type = fmt::format("{:#x}", facts.f_type);
  return type;
}

Json folder_report(const fs::path& folder) {
  std::error_code error;
  const std::string path = fs::weakly_canonical(folder, error).string();
  struct statvfs facts {};
  const bool known = ::statvfs(path.c_str(), &facts) == 0;
  return {
      {"folder", path},
      {"file_system", file_system_of(path)},
      {"free_bytes",
       known ? static_cast<int64_t>(facts.f_bavail) * static_cast<int64_t>(facts.f_frsize) : 0}};
}

Json mpi_components() {
  std::map<std::string, std::set<std::string>> components;
  for (const std::string& line : run_program("ompi_info --parsable").lines) {
    // mca:btl:tcp:version:…
    std::istringstream words(line);
    std::string mca, kind, name;
    std::getline(words, mca, ':'), std::getline(words, kind, ':'), std::getline(words, name, ':');
    if (mca == "mca" && (kind == "pml" || kind == "btl" || kind == "mtl"))
      components[kind].insert(name);
  }
  Json json = Json::object();
  for (const auto& [kind, names] : components) {
    const std::vector<std::string> list(names.begin(), names.end());
    json[kind] = list_words(list, ", ");
  }
  return json;
}

Json slurm_report() {
  Json variables = environment_with({"SLURM_"});
  const Printed partitions =
      run_program("sinfo --noheader -o '%P %a %T nodes=%D cpus=%c memory=%mM gres=%G time=%l %N'");
  // Programs without a configuration are no cluster.
  if (variables.empty() && !partitions.well) return Json::object();
  return {{"variables", variables},
          {"partitions", partitions.lines},
          {"mpi", run_program("srun --mpi=list").lines}};
}

}  // namespace lockstep
