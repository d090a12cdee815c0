#include "train/shared_folder.hpp"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "base/host.hpp"
#include "base/text.hpp"
#include "checkpoint/file.hpp"
#include "runtime/guard.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Network file systems ask the server for a name they have not seen; this is for slow ones.
constexpr auto kLongestWait = std::chrono::seconds(10);

// What rank 0 found: an error, or the seconds by which the file system's clock is ahead.
struct Probe {
  std::string error;
  double seconds_ahead = 0;
};

Probe write_probe(const fs::path& path, const std::string& token) {
  Probe probe;
  try {
    OutputFile file(path);
    file.write(token + "\n");
    file.sync();
    file.close();
  } catch (const Error& error) {
    probe.error = error.what();
    return probe;
  }
  struct stat facts {};
  timespec now{};
  if (::stat(path.c_str(), &facts) == 0 && ::clock_gettime(CLOCK_REALTIME, &now) == 0) {
    probe.seconds_ahead = static_cast<double>(facts.st_mtim.tv_sec - now.tv_sec) +
                          1e-9 * static_cast<double>(facts.st_mtim.tv_nsec - now.tv_nsec);
  }
  return probe;
}

// Waits for the file; what is asked for differs in each run, so nothing old is taken for it.
bool sees(const fs::path& path, const std::string& token) {
  auto pause = std::chrono::milliseconds(1);
  for (const auto begin = Clock::now();;) {
    if (first_line(path) == token) return true;
    if (Clock::now() - begin > kLongestWait) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(200));
  }
}

std::string absolute_text(const fs::path& folder) {
  std::error_code ignored;
  return fs::absolute(folder, ignored).lexically_normal().string();
}

std::vector<Finding> judge(const Probe& probe, const std::string& of_first,
                           const std::vector<std::string>& not_seen_by) {
  constexpr double kMostSeconds = 5;
  const std::string where = concat("run folder ", of_first, ": ");
  std::vector<Finding> findings;
  const auto blind = std::find_if(not_seen_by.begin(), not_seen_by.end(),
                                  [](const std::string& text) { return !text.empty(); });
  if (blind != not_seen_by.end()) {
    const auto others = std::count_if(blind + 1, not_seen_by.end(),
                                      [](const std::string& text) { return !text.empty(); });
    findings.push_back(
        {true, Failure::device,
         concat(where, "rank ", blind - not_seen_by.begin(), " does not find in ", *blind,
                " what rank 0 has written",
                others == 0 ? "" : concat(" (nor do ", others, " more ranks)"),
                "; expected one folder that all ranks share; give one on a shared file system with "
                "--output, by an absolute path, or start all ranks in the same folder")});
  }
  if (std::abs(probe.seconds_ahead) > kMostSeconds) {
    findings.push_back(
        {false, Failure::device,
         concat(where, "the clock of the file system is ",
                duration_text(std::abs(std::round(probe.seconds_ahead))),
                probe.seconds_ahead > 0 ? " ahead of" : " behind", " that of ", host_name(),
                "; expected one time; synchronise the clocks of host and file server (chrony or "
                "ntpd)")});
  }
  return findings;
}

}  // namespace

std::vector<Finding> check_shared_folder(const fs::path& folder,
                                         CommunicationThread& communication) {
  const bool first = communication.rank() == 0;
  std::string token, error, of_first = absolute_text(folder);
  Probe probe;
  if (first) {
    token = std::to_string(std::random_device()()) + std::to_string(std::random_device()());
    probe = write_probe(folder / (".shared-" + token), token);
    error = probe.error;
  }
  communication.broadcast(error, 0, "run folder");
  communication.broadcast(of_first, 0, "run folder");
  if (!error.empty()) {
    return {{true, Failure::checkpoint,
             concat("run folder ", of_first, ": ", error,
                    "; expected a file system that takes files and has fsync; choose another with "
                    "--output")}};
  }
  communication.broadcast(token, 0, "run folder");
  const fs::path path = folder / (".shared-" + token);
  const bool seen = first || sees(path, token);
  const std::vector<std::string> not_seen_by = communication.gather(
      seen ? "" : concat(absolute_text(folder), " on ", host_name()), "run folder");
  std::string clock = std::to_string(probe.seconds_ahead);
  communication.broadcast(clock, 0, "run folder");
  if (first) remove_file(path);
  probe.seconds_ahead = std::atof(clock.c_str());
  return judge(probe, of_first, not_seen_by);
}

}  // namespace lockstep
