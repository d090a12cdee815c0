// Plans on disk: what cuDNN and measurements chose for a graph is chosen once.
//
// A file per plan, named after a hash of all that it is for, under $LOCKSTEP_PLAN_CACHE (empty: no
// cache), else $XDG_CACHE_HOME/lockstep/plans, else ~/.cache/lockstep/plans. The first that is
// stored stays, so that ranks and later runs that measure differently still take the same.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace lockstep::cuda {

// What a plan is for: it serves nothing else.
struct PlanKey {
  std::string gpu;       // "NVIDIA H100 80GB HBM3"
  int architecture = 0;  // 90
  std::string options;   // "deterministic tf32"
  std::string label;     // for people, no part of the name
  std::string graph;     // its text

  std::string file_name() const;
};

struct StoredPlan {
  std::string plan;  // cuDNN's JSON form
  std::string implementation;
};

class PlanCache {
 public:
  PlanCache();
  explicit PlanCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Whether stored plans are found again.
  bool keeps() const { return !folder_.empty(); }
  // Nothing where there is none. What is damaged, or is not what its name says, counts as none and
  // is said in a warning.
  std::optional<StoredPlan> load(const PlanKey& key) const;
  // Returns what is in the cache afterwards: the given plan, or one that came before. Where the
  // folder cannot be written, a warning says so once and nothing is kept from then on.
  StoredPlan store(const PlanKey& key, const StoredPlan& plan);
  // Removes a plan that does not load, and warns with the reason.
  void refuse(const PlanKey& key, const std::string& reason) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace lockstep::cuda
