#include "train/core_share.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "runtime/guard.hpp"

namespace lockstep {
namespace {

// "0-3,8": the cores that this process may run on, from /proc/self/status.
std::string usable_cores() {
  constexpr std::string_view kKey = "Cpus_allowed_list:\t";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kKey)) return line.substr(kKey.size());
  }
  return {};
}

}  // namespace

int count_cores(std::string_view list) {
  int count = 0;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view range = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    int first = 0;
    const char* const end = range.data() + range.size();
    const auto [at, error] = std::from_chars(range.data(), end, first);
    if (error != std::errc()) continue;
    int last = first;
    if (at != end && *at == '-') std::from_chars(at + 1, end, last);
    count += std::max(last - first + 1, 0);
  }
  return count;
}

int share_of_cores(int cores, int index, int ranks) {
  return std::max(1, (cores + ranks - 1 - index) / ranks);
}

int share_of_cores(CommunicationThread& communication) {
  const std::string cores = usable_cores();
  const std::string mine = concat(host_name(), ' ', cores);
  const std::vector<std::string> all = communication.gather(mine, "cores");
  if (cores.empty()) return 0;
  const auto self = all.begin() + communication.rank();
  return share_of_cores(count_cores(cores), static_cast<int>(std::count(all.begin(), self, mine)),
                        static_cast<int>(std::count(all.begin(), all.end(), mine)));
}

}  // namespace lockstep
