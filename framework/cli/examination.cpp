#include "cli/examination.hpp"

#include <gnu/libc-version.h>
#include <unistd.h>

#include <CLI/Version.hpp>
#include <algorithm>

#include "base/text.hpp"
#include "base/versions.hpp"
#include "cli/host_report.hpp"
#include "cli/measure.hpp"
#include "runtime/guard.hpp"
#include "train/data_fingerprint.hpp"
#include "train/shared_folder.hpp"
#include "train/site.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// Everything that is found out; all ranks take every step, in one order.
class Examination {
 public:
  Examination(Session& session, fs::path output, bool with_data, std::vector<Finding> findings)
      : session_(session),
        communication_(*session.communication),
        output_(std::move(output)),
        with_data_(with_data),
        findings_(std::move(findings)) {}

  Json run() {
    if (findings_.empty()) {
      add(check_tasks(session_.place, communication_.world_size(),
                      communicator_name(session_.recipe, session_.registry)));
    }
    ranks_ = gather_facts(site_facts(session_.recipe, session_.registry, communication_),
                          communication_);
    add(compare_ranks(ranks_));
    Json report{{"lockstep", lockstep_version()}, {"world_size", communication_.world_size()}};
    report["versions"] = versions();
    report["ranks"] = Json::array();
    const std::vector<Json> places = gather(rank_report());
    for (const Json& place : places) report["ranks"].push_back(place);
    add_of_hosts(report, places);
    report["mpi"] = session_.is_first() ? mpi_components() : Json::object();
    report["slurm"] = session_.is_first() ? slurm_report() : Json::object();
    report["all_reduce"] = all_reduce();
    if (with_data_) report["data"] = examine_recipe();
    report["findings"] = Json::array();
    for (const Finding& finding : findings_) {
      report["findings"].push_back(
          {{"severity", finding.fatal ? "error" : "warning"}, {"text", finding.text}});
    }
    return report;
  }

 private:
  void add(const std::vector<Finding>& findings) {
    findings_.insert(findings_.end(), findings.begin(), findings.end());
  }

  // A finding of some rank becomes one of all; what several say is said once.
  void add_of_ranks(const std::string& text, Failure failure) {
    std::vector<std::string> said;
    const std::vector<std::string> texts = communication_.gather(text, "doctor");
    for (size_t rank = 0; rank < texts.size(); ++rank) {
      if (texts[rank].empty() || std::find(said.begin(), said.end(), texts[rank]) != said.end())
        continue;
      said.push_back(texts[rank]);
      findings_.push_back(
          {true, failure,
           concat("rank ", rank, " on ", ranks_[rank].at("host"), ": ", texts[rank])});
    }
  }

  std::vector<Json> gather(const Json& mine) {
    std::vector<Json> all;
    for (const std::string& text : communication_.gather(mine.dump(), "doctor"))
      all.push_back(Json::parse(text));
    return all;
  }

  // The libraries of the framework, the system, and of what talks to the hardware.
  Json versions() {
    Json json{{"ABI id", ranks_[0].at("ABI id")}};
    for (const Version& library : library_versions()) json[library.name] = library.version;
    json["CLI11"] = CLI11_VERSION;
#if defined(__GLIBCXX__)
    json["libstdc++"] = __GLIBCXX__;
#endif
    json["glibc"] = gnu_get_libc_version();
    std::vector<std::string> refused;
    for (const Registry::Listed& item : session_.registry.list_all(&refused)) {
      if (item.kind == Kind::device || item.kind == Kind::communicator)
        json[concat(name(item.kind), ' ', item.name)] = item.help;
    }
    add_of_ranks(list_words(refused, "; "), Failure::usage);
    return json;
  }

  Json rank_report() {
    const auto rank = static_cast<size_t>(communication_.rank());
    Json json{{"rank", rank},
              {"host", host_name()},
              {"process", getpid()},
              {"local_rank", communication_.local_rank()},
              {"local_size", communication_.local_size()},
              {"cores", ranks_[rank].at("cores")},
              {"threads", 0},
              {"loader_workers", 0},
              {"device", ""}};
    std::string trouble;
    Facts facts;
    try {
      session_.device =
          make_device(session_.recipe, session_.registry, communication_.local_rank(),
                      communication_.local_size(), share_of_cores(ranks_, communication_.rank()));
      json["threads"] = session_.device->threads();
      json["loader_workers"] = loader_workers(session_.recipe, *session_.device);
      json["device"] = session_.device->description();
      facts = place_facts(*session_.device);
    } catch (const Error& error) {
      trouble = error.what();
    }
    add_of_ranks(trouble, Failure::device);
    add(compare_ranks(gather_facts(facts, communication_)));
    return json;
  }

  // One rank of each host reports it, so that no two measure a disk at the same time.
  void add_of_hosts(Json& report, const std::vector<Json>& places) {
    const bool reports = communication_.local_rank() == 0;
    add(check_shared_folder(output_, communication_));
    Json mine = Json::object();
    std::string trouble;
    if (reports) {
      mine = {{"hosts", host_report()}, {"network", network_report()}, {"gpus", gpu_report()}};
      mine["gpus"].update(device_probes());
      mine["disks"] = disks(trouble);
    }
    const std::vector<Json> all = gather(mine);
    for (const char* part : {"hosts", "network", "gpus", "disks"}) {
      report[part] = Json::array();
      for (size_t rank = 0; rank < all.size(); ++rank) {
        if (!all[rank].contains(part)) continue;
        const Json& found = all[rank][part];
        const Json list = found.is_array() ? found : Json::array({found});
        for (const Json& item : list) {
          Json entry{{"host", places[rank]["host"]}};
          entry.update(item);
          report[part].push_back(std::move(entry));
        }
      }
    }
    add_of_ranks(trouble, Failure::checkpoint);
    add_of_ranks(reports ? gpu_trouble(mine["gpus"]) : "", Failure::device);
    add_of_ranks(reports ? memory_trouble(mine["hosts"]) : "", Failure::device);
  }

  Json disks(std::string& trouble) const {
    Json json = Json::array();
    for (const fs::path& folder : {output_, fs::temp_directory_path()}) {
      Json disk = folder_report(folder);
      try {
        const DiskSpeed speed = measure_disk(folder);
        disk["write_bytes_per_second"] = static_cast<int64_t>(speed.write_bytes_per_second);
        disk["fsync_seconds"] = speed.fsync_seconds;
      } catch (const Error& error) {
        disk["write_bytes_per_second"] = 0;
        disk["fsync_seconds"] = 0;
        trouble = concat("disk: ", error.what(),
                         "; expected a folder to write to; choose another "
                         "with --output, or TMPDIR");
      }
      json.push_back(std::move(disk));
    }
    return json;
  }

  // What the plugins of devices tell of this host, by the device's name.
  Json device_probes() const {
    Json json = Json::object();
    for (const Registry::Listed& item : session_.registry.list_all(nullptr)) {
      if (item.kind != Kind::device) continue;
      const DeviceEntry& entry = session_.registry.find_device(item.name);
      if (!entry.probe) continue;
      const DeviceFacts found = entry.probe();
      json[item.name] = {{"unusable", found.unusable}};
      for (const auto& [key, value] : found.facts) json[item.name][key] = value;
    }
    return json;
  }

  static std::string gpu_trouble(const Json& gpus) {
    if (gpus["driver"].get<std::string>().empty() && gpus["devices"].empty()) return "";
    if (gpus["devices"].empty()) {
      return "GPUs: the driver is there, but no /dev/nvidia*; expected one per GPU; in a container "
             "or a Slurm job ask for them (--gpus, --gpus-per-node)";
    }
    if (!gpus["libcuda"].get<bool>()) {
      return "GPUs: there are devices, but libcuda.so.1 cannot be opened; expected the driver's "
             "library; install it, or start the container with the NVIDIA container toolkit";
    }
    for (const Json& probe : gpus) {
      const std::string unusable = probe.is_object() ? probe.value("unusable", "") : "";
      if (!unusable.empty()) return "GPUs: " + unusable;
    }
    return "";
  }

  // MPI gives each rank some MiB there; a container has 64 MiB unless it is told otherwise.
  std::string memory_trouble(const Json& host) const {
    constexpr int64_t kEachRank = int64_t{16} << 20;
    const auto bytes = host["shared_memory_bytes"].get<int64_t>();
    if (communication_.local_size() == 1 || bytes >= kEachRank * communication_.local_size())
      return "";
    return concat("shared memory: /dev/shm has ", bytes_text(bytes),
                  "; expected 16 MiB for each of ", communication_.local_size(),
                  " ranks; make it larger (docker run --shm-size=1g)");
  }

  Json all_reduce() {
    Json json = Json::array();
    if (communication_.world_size() == 1) return json;
    for (const AllReduceSpeed& speed : measure_all_reduce(communication_)) {
      json.push_back({{"bytes", speed.bytes},
                      {"seconds", speed.seconds},
                      {"bus_bytes_per_second", static_cast<int64_t>(speed.bus_bytes_per_second)}});
    }
    return json;
  }

  // The recipe and its data, on every rank.
  Json examine_recipe() {
    try {
      require_equal(communication_, "recipe", resolved_text(session_.recipe, session_.registry));
    } catch (const Error& error) {  // on all ranks
      findings_.push_back({true, error.failure(), error.what()});
    }
    std::string trouble;
    Facts facts;
    try {
      facts = data_fingerprint(open_data(session_.recipe, session_.registry));
    } catch (const Error& error) {
      trouble = error.what();
    }
    add_of_ranks(trouble, Failure::data);
    const Json json = facts;
    facts["host"] = host_name();
    const std::vector<Facts> all = gather_facts(facts, communication_);
    const bool everywhere =
        std::all_of(all.begin(), all.end(), [](const Facts& f) { return f.size() > 1; });
    if (everywhere) add(compare_ranks(all));  // else it has been said what is missing
    return json;
  }

  Session& session_;
  CommunicationThread& communication_;
  const fs::path output_;
  const bool with_data_;
  std::vector<Finding> findings_;
  std::vector<Facts> ranks_;
};

}  // namespace

Json examine(Session& session, const fs::path& output, bool with_data,
             std::vector<Finding> findings) {
  return Examination(session, output, with_data, std::move(findings)).run();
}

}  // namespace lockstep
