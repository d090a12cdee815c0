#include "plan_cache.hpp"

#include <cudnn_graph.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.hpp"
#include "base/log.hpp"
#include "runtime/guard.hpp"

namespace lockstep::cuda {
namespace {

namespace fs = std::filesystem;

std::string hash_text(const std::string& text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  std::array<char, 33> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx%016llx",
                static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return digits.data();
}

fs::path default_folder() {
  if (const char* folder = std::getenv("LOCKSTEP_PLAN_CACHE")) return folder;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return fs::path(cache) / "lockstep" / "plans";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return fs::path(home) / ".cache" / "lockstep" / "plans";
}

nlohmann::ordered_json describe(const PlanKey& key) {
  return {{"cudnn", cudnnGetVersion()}, {"gpu", key.gpu},     {"architecture", key.architecture},
          {"options", key.options},     {"label", key.label}, {"graph", key.graph}};
}

// What differs between a stored plan and what it should be for; empty: nothing.
std::string difference(const nlohmann::ordered_json& stored, const PlanKey& key) {
  const nlohmann::ordered_json wanted = describe(key);
  for (const char* field : {"cudnn", "gpu", "architecture", "options", "graph"}) {
    if (stored.at(field) == wanted.at(field)) continue;
    if (std::string_view(field) == "graph") return "is of another graph";
    return concat("is for ", field, ' ', stored.at(field).dump(), ", not ",
                  wanted.at(field).dump());
  }
  const auto plan = stored.at("plan").get<std::string>();
  const auto implementation = stored.at("implementation").get<std::string>();
  return stored.at("checksum") == hash_text(plan + implementation) ? "" : "has a wrong checksum";
}

}  // namespace

std::string PlanKey::file_name() const {
  const std::string all =
      concat(cudnnGetVersion(), '\n', gpu, '\n', architecture, '\n', options, '\n', graph);
  return concat("sm", architecture, '-', hash_text(all), ".json");
}

PlanCache::PlanCache() : folder_(default_folder()) {}

std::optional<StoredPlan> PlanCache::load(const PlanKey& key) const {
  if (!keeps()) return {};
  std::ifstream file(folder_ / key.file_name());
  if (!file) return {};
  std::stringstream text;
  text << file.rdbuf();
  try {
    const auto stored = nlohmann::ordered_json::parse(text.str());
    if (const std::string reason = difference(stored, key); !reason.empty()) {
      refuse(key, reason);
      return {};
    }
    return StoredPlan{stored.at("plan"), stored.at("implementation")};
  } catch (const nlohmann::json::exception&) {
    refuse(key, "is damaged");
    return {};
  }
}

StoredPlan PlanCache::store(const PlanKey& key, const StoredPlan& plan) {
  if (!keeps()) return plan;
  nlohmann::ordered_json json = describe(key);
  json["implementation"] = plan.implementation;
  json["plan"] = plan.plan;
  json["checksum"] = hash_text(plan.plan + plan.implementation);

  const fs::path path = folder_ / key.file_name();
  const fs::path temporary = concat(path.string(), '.', host_name(), '.', getpid());
  std::error_code error;
  fs::create_directories(folder_, error);
  std::ofstream file(temporary);
  file << json.dump(1) << '\n';
  file.close();
  if (!file) {
    log::warn(concat("plan cache ", folder_.string(),
                     ": cannot be written; plans are made anew in every run; "
                     "LOCKSTEP_PLAN_CACHE names another folder"));
    fs::remove(temporary, error);
    folder_.clear();
    return plan;
  }
  fs::create_hard_link(temporary, path, error);  // unless another rank was first
  fs::remove(temporary, error);
  return load(key).value_or(plan);
}

void PlanCache::refuse(const PlanKey& key, const std::string& reason) const {
  const fs::path path = folder_ / key.file_name();
  log::warn(concat("plan cache ", path.string(), ": ", reason, "; planned anew"));
  std::error_code ignored;
  fs::remove(path, ignored);
}

}  // namespace lockstep::cuda
