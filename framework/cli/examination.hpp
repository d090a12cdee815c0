// What `lockstep doctor` finds out, on all ranks together.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "train/session.hpp"
#include "train/site.hpp"

namespace lockstep {

// All ranks call it; rank 0 gets all of it:
//   lockstep, world_size, versions, ranks, hosts, network, gpus, disks, mpi, slurm, all_reduce,
//   data (with_data: the recipe's), findings: [{severity: "error" or "warning", text}]
// The disk under `output`, where runs would write, and that for temporary files are measured. All
// ranks get the findings. `findings`: what is known before, about how the ranks were started.
nlohmann::ordered_json examine(Session& session, const std::filesystem::path& output,
                               bool with_data, std::vector<Finding> findings);

}  // namespace lockstep
