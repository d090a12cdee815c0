#include "device/host_memory.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace lockstep {
namespace {

// The numbers of lines "NAME: 123 kB" or "NAME 123", as the file has them; empty without a file.
std::map<std::string, int64_t> read_numbers(const std::string& path) {
  std::map<std::string, int64_t> numbers;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t number = 0;
    if (!(words >> name >> number)) continue;
    if (name.back() == ':') name.pop_back();
    numbers[name] = number;
  }
  return numbers;
}

int64_t read_number(const std::string& path, int64_t otherwise) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? number : otherwise;  // "max" is no number
}

int64_t free_of_host() {
  const auto numbers = read_numbers("/proc/meminfo");
  const auto available = numbers.find("MemAvailable");
  if (available == numbers.end()) return INT64_MAX;
  const auto swap = numbers.find("SwapFree");
  return (available->second + (swap == numbers.end() ? 0 : swap->second)) * 1024;
}

// The page cache counts as used there, but gives way.
int64_t free_of_control_group() {
  const std::string folder = "/sys/fs/cgroup/";
  const int64_t most = read_number(folder + "memory.max", INT64_MAX);
  const int64_t used = read_number(folder + "memory.current", 0);
  if (most == INT64_MAX) return most;
  auto numbers = read_numbers(folder + "memory.stat");
  return most - used + numbers["inactive_file"] + numbers["active_file"];
}

int64_t free_of_process() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return INT64_MAX;
  const int64_t pages = read_number("/proc/self/statm", 0);
  return static_cast<int64_t>(limit.rlim_cur) - pages * sysconf(_SC_PAGESIZE);
}

}  // namespace

int64_t free_host_bytes() {
  const int64_t free = std::min({free_of_host(), free_of_control_group(), free_of_process()});
  return free == INT64_MAX ? -1 : std::max<int64_t>(free, 0);
}

}  // namespace lockstep
