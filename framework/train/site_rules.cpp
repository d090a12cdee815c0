// What must be equal on all ranks, and what must hold on each.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "base/log.hpp"
#include "base/text.hpp"
#include "train/session.hpp"
#include "train/site.hpp"

namespace lockstep {
namespace {

struct EqualityRule {
  std::string_view keys;  // that begin so
  std::string_view where;
  bool fatal;
  Failure failure;
  std::string_view expected;
  std::string_view repair;
};

constexpr std::string_view kOneBuild = "one build on all hosts";
constexpr std::string_view kInstall =
    "install the same one everywhere, or start all ranks from a folder that the hosts share";
constexpr std::string_view kOneDataset = "the same data on all ranks";
constexpr std::string_view kCopy =
    "copy it anew to the hosts that differ, or set data.path or LOCKSTEP_DATA to a folder that all "
    "hosts share";

// The worst and the plainest first.
constexpr EqualityRule kEqual[] = {
    {"version of lockstep", "build", true, Failure::device, kOneBuild, kInstall},
    {"ABI id", "build", true, Failure::device, kOneBuild, kInstall},
    {"kind of device", "devices", true, Failure::device, "one kind in a run",
     "set device.name, or see with `lockstep doctor` what the hosts lack"},
    {"file ", "build", true, Failure::device, kOneBuild, kInstall},
    {"size of ", "data", true, Failure::data, kOneDataset, kCopy},
    {"classes", "data", true, Failure::data, kOneDataset, kCopy},
    {"names of ", "data", true, Failure::data, kOneDataset, kCopy},
    {"pictures of ", "data", true, Failure::data, kOneDataset, kCopy},
    {"libraries", "build", false, Failure::device,
     "the same libraries on all hosts; results are repeated bit by bit only by the same ones",
     "install the same packages everywhere"},
    {"instruction set", "processors", false, Failure::device,
     "one kind of processor in a run: ranks compute in other orders, the slowest sets the pace, "
     "and a result is repeated bit by bit only by the same mixture",
     "choose hosts of one kind, as with srun --constraint or mpirun --host"},
};

std::string_view value(const Facts& facts, std::string_view key) {
  const auto found = facts.find(key);
  return found == facts.end() ? std::string_view() : found->second;
}

int64_t number(const Facts& facts, std::string_view key) {
  return std::atoll(std::string(value(facts, key)).c_str());
}

// "node1 (ranks 0-3), node2 (rank 4)"; what is beyond a few hosts is counted.
std::string who(std::span<const Facts> ranks, std::span<const int> chosen) {
  constexpr size_t kMost = 4;
  std::vector<std::pair<std::string_view, std::vector<int>>> hosts;
  for (const int rank : chosen) {
    const std::string_view host = value(ranks[static_cast<size_t>(rank)], "host");
    const auto known =
        std::find_if(hosts.begin(), hosts.end(), [&](const auto& h) { return h.first == host; });
    if (known == hosts.end()) {
      hosts.push_back({host, {rank}});
    } else {
      known->second.push_back(rank);
    }
  }
  std::string text;
  for (size_t i = 0; i < std::min(hosts.size(), kMost); ++i) {
    text += concat(i == 0 ? "" : ", ", hosts[i].first,
                   hosts[i].second.size() == 1 ? " (rank " : " (ranks ",
                   ranges_text(hosts[i].second), ")");
  }
  if (hosts.size() > kMost) text += concat(" and ", hosts.size() - kMost, " more hosts");
  return text;
}

// "1.2 on node1 (ranks 0-3); 1.3 on node2 (rank 4)". Empty: equal everywhere.
std::string differences(std::span<const Facts> ranks, std::string_view key) {
  constexpr size_t kMost = 4;
  std::vector<std::pair<std::string_view, std::vector<int>>> groups;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const std::string_view mine = value(ranks[rank], key);
    auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == mine; });
    if (group == groups.end()) group = groups.insert(groups.end(), {mine, {}});
    group->second.push_back(static_cast<int>(rank));
  }
  if (groups.size() <= 1) return {};
  std::vector<std::string> parts;
  for (size_t i = 0; i < std::min(groups.size(), kMost); ++i) {
    const auto& [shown, members] = groups[i];
    parts.push_back(concat(shown, " on ", who(ranks, members)));
  }
  if (groups.size() > kMost) parts.push_back("others elsewhere");
  return list_words(parts, " and ");
}

// Keys that some rank lacks are passed over: the recipes differ, which is said by itself.
void require_equality(std::span<const Facts> ranks, const EqualityRule& rule,
                      std::vector<Finding>& findings) {
  for (auto it = ranks[0].lower_bound(rule.keys); it != ranks[0].end(); ++it) {
    const std::string& key = it->first;
    if (!key.starts_with(rule.keys)) break;
    const auto has_it = [&key](const Facts& facts) { return facts.contains(key); };
    if (!std::all_of(ranks.begin(), ranks.end(), has_it)) continue;
    const std::string found = differences(ranks, key);
    if (found.empty()) continue;
    findings.push_back({rule.fatal, rule.failure,
                        concat(rule.where, ": ", key, ": ", found, "; expected ", rule.expected,
                               "; ", rule.repair)});
    return;  // the others would say the same
  }
}

bool on_one_host(const Facts& a, const Facts& b) {
  return value(a, "host") == value(b, "host") && value(a, "machine") == value(b, "machine");
}

void require_own_devices(std::span<const Facts> ranks, std::vector<Finding>& findings) {
  for (size_t a = 0; a < ranks.size(); ++a) {
    const std::string_view id = value(ranks[a], "device id");
    for (size_t b = a + 1; b < ranks.size() && !id.empty(); ++b) {
      if (value(ranks[b], "device id") != id || !on_one_host(ranks[a], ranks[b])) continue;
      findings.push_back(
          {true, Failure::device,
           concat("devices: ranks ", a, " and ", b, " on ", value(ranks[a], "host"), " both use ",
                  id,
                  "; expected a device for each rank; start as many ranks on a host as it has "
                  "devices, and let each see all of them (srun --gpus-per-node, not "
                  "--gpus-per-task)")});
      return;
    }
  }
}

int rank_threads(std::span<const Facts> ranks, int rank) {
  const int64_t given = number(ranks[static_cast<size_t>(rank)], "threads");
  return given > 0 ? static_cast<int>(given) : share_of_cores(ranks, rank);
}

// A launcher binds a rank, with all its threads, to one core unless it is told otherwise.
void require_cores(std::span<const Facts> ranks, std::vector<Finding>& findings) {
  std::vector<int> starving;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const int64_t cores = static_cast<int64_t>(read_ranges(value(ranks[rank], "cores")).size());
    const bool bound = cores < number(ranks[rank], "cores of host");
    const bool too_few = rank_threads(ranks, static_cast<int>(rank)) > cores;
    // The loader's workers then run in place of the computation, not beside it.
    if (cores > 0 && bound && (too_few || cores == 1)) starving.push_back(static_cast<int>(rank));
  }
  if (starving.empty()) return;
  const Facts& first = ranks[static_cast<size_t>(starving[0])];
  findings.push_back(
      {false, Failure::device,
       concat("cores: ", who(ranks, starving), " may run on ",
              read_ranges(value(first, "cores")).size(), " of the ", value(first, "cores of host"),
              " cores that the job has there; expected one for each of its compute threads (",
              rank_threads(ranks, starving[0]),
              ") and one for the loader; bind no "
              "rank (mpirun --bind-to none, as launch/mpirun does) or give each more cores (srun "
              "--cpus-per-task)")});
}

void require_open_files(std::span<const Facts> ranks, std::vector<Finding>& findings) {
  constexpr int64_t kAnyProcess = 128;  // libraries, pipes, logs, shared memory, devices
  constexpr int64_t kWorkers = 32;
  const int64_t needed = kAnyProcess + kWorkers + 2 * static_cast<int64_t>(ranks.size());
  std::vector<int> short_of;
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    const std::string_view limit = value(ranks[rank], "open files");
    if (!limit.empty() && number(ranks[rank], "open files") < needed)
      short_of.push_back(static_cast<int>(rank));
  }
  if (short_of.empty()) return;
  findings.push_back(
      {false, Failure::device,
       concat("open files: ", who(ranks, short_of), " may open ",
              value(ranks[static_cast<size_t>(short_of[0])], "open files"), "; expected ", needed,
              " or more for ", ranks.size(),
              " ranks; raise the hard limit (ulimit -Hn, limits.conf, or LimitNOFILE of slurmd)")});
}

void require_one_time(std::span<const Facts> ranks, std::vector<Finding>& findings) {
  constexpr double kMostSeconds = 5;
  const auto clock = [](const Facts& facts) {
    return std::atof(std::string(value(facts, "clock")).c_str());
  };
  for (const Facts& facts : ranks) {
    const double ahead = clock(facts) - clock(ranks[0]);
    if (std::abs(ahead) <= kMostSeconds) continue;
    findings.push_back(
        {false, Failure::device,
         concat("clocks: that of ", value(facts, "host"), " is ",
                duration_text(std::abs(std::round(ahead))), ahead > 0 ? " ahead of" : " behind",
                " that of ", value(ranks[0], "host"),
                "; expected one time, or logs and files of the hosts contradict each other; "
                "synchronise the clocks (chrony or ntpd)")});
    return;
  }
}

}  // namespace

int share_of_cores(std::span<const Facts> ranks, int rank) {
  const Facts& mine = ranks[static_cast<size_t>(rank)];
  const auto cores = static_cast<int>(read_ranges(value(mine, "cores")).size());
  if (cores == 0) return 0;
  int sharing = 0, before_me = 0;
  for (size_t other = 0; other < ranks.size(); ++other) {
    if (!on_one_host(mine, ranks[other])) continue;
    if (value(ranks[other], "cores") != value(mine, "cores")) continue;
    ++sharing;
    before_me += static_cast<int>(other) < rank;
  }
  // The first ranks get what the division leaves.
  return std::max(1, (cores + sharing - 1 - before_me) / sharing);
}

std::vector<Finding> compare_ranks(std::span<const Facts> ranks) {
  std::vector<Finding> findings;
  for (const EqualityRule& rule : kEqual) require_equality(ranks, rule, findings);
  require_own_devices(ranks, findings);
  require_cores(ranks, findings);
  require_open_files(ranks, findings);
  require_one_time(ranks, findings);
  std::stable_partition(findings.begin(), findings.end(),
                        [](const Finding& finding) { return finding.fatal; });
  return findings;
}

std::vector<Finding> check_tasks(const ProcessPlace& place, int world_size,
                                 std::string_view communicator) {
  const auto found = [&](bool fatal, const auto&... parts) -> std::vector<Finding> {
    return {{fatal, Failure::device, concat("communicator ", communicator, ": ", parts...)}};
  };
  if (place.tasks > 1 && communicator == "local") {
    return found(false, place.tasks, " processes were started (", place.said_by,
                 "), and each trains alone; expected ranks of one training; set communicator.name "
                 "to \"auto\" unless this is meant");
  }
  if (place.tasks > 0 && place.tasks != world_size) {
    return found(true, place.tasks, place.tasks == 1 ? " process was" : " processes were",
                 " started (", place.said_by, "), but MPI says that there ",
                 world_size == 1 ? "is 1" : "are ",
                 world_size == 1 ? "" : std::to_string(world_size),
                 "; expected them to be ranks of one run; ",
                 place.by_srun
                     ? "use what `srun --mpi=list` and the MPI library both offer, srun --mpi=pmix "
                       "or pmi2, as launch/slurm does"
                     : "start them with the mpirun of the MPI library that Lockstep was built with "
                       "(`lockstep list` names it), as launch/mpirun does");
  }
  const char* of_job = std::getenv("SLURM_NTASKS");
  const int job_tasks = of_job == nullptr ? 0 : std::atoi(of_job);
  if (!place.by_srun && job_tasks > world_size) {
    return found(false, "the Slurm job has ", job_tasks, " tasks (SLURM_NTASKS), but this run has ",
                 world_size, world_size == 1 ? " rank" : " ranks",
                 "; expected one rank per task; start it with srun, as launch/slurm does");
  }
  return {};
}

void act_on(std::span<const Finding> findings, int rank) {
  constexpr auto kRankZeroFirst = std::chrono::seconds(5);
  for (const Finding& finding : findings) {
    if (finding.fatal) {
      if (rank != 0) std::this_thread::sleep_for(kRankZeroFirst);
      throw Error(finding.failure, finding.text);
    }
    log::warn(finding.text);
  }
}

}  // namespace lockstep
