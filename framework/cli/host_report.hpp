// What `lockstep doctor` says about a host, as JSON.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace lockstep {

using Json = nlohmann::ordered_json;

// Processor, cores, memory, kernel.
Json host_report();
// Network interfaces with address and speed, InfiniBand, and the environment's settings of MPI.
Json network_report();
// NVIDIA's devices and driver, as files of the system show them; nothing of CUDA is called.
Json gpu_report();
// The file system that a folder is on, and its free space.
Json folder_report(const std::filesystem::path& folder);
// The components of Open MPI by ompi_info ("btl": "self, tcp, vader"); empty where there is none.
Json mpi_components();
// Slurm's variables, partitions (sinfo) and ways to start MPI (srun --mpi=list); empty without
// Slurm.
Json slurm_report();

}  // namespace lockstep
