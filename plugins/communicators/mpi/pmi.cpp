#include "pmi.hpp"

#include <dlfcn.h>
#include <mpi.h>

#include <cstdlib>
#include <filesystem>
#include <lockstep/plugin.hpp>
#include <string>

namespace lockstep::mpi {

#if defined(OPEN_MPI)
namespace {

// The folder of Open MPI's components for the ways to start; empty where it is not one of files.
std::filesystem::path component_folder() {
  Dl_info library{};
  if (dladdr(reinterpret_cast<void*>(&MPI_Init_thread), &library) == 0 || !library.dli_fname)
    return {};
  std::error_code error;
  const auto beside = std::filesystem::canonical(library.dli_fname, error).parent_path();
  for (const char* name : {"openmpi3", "openmpi", "openmpi/lib/openmpi3"}) {
    if (std::filesystem::exists(beside / name / "mca_pmix_isolated.so", error))
      return beside / name;
  }
  return {};
}

bool is_set(const char* variable) { return std::getenv(variable) != nullptr; }

}  // namespace

void require_pmi() {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  const bool by_srun = is_set("SLURM_STEP_ID") && tasks != nullptr && std::atoi(tasks) > 1;
  if (!by_srun || is_set("OMPI_COMM_WORLD_SIZE") || is_set("PMIX_RANK")) return;
  const std::filesystem::path folder = component_folder();
  if (folder.empty()) return;
  const auto has = [&](const char* component) {
    std::error_code error;
    return std::filesystem::exists(folder / concat("mca_pmix_", component, ".so"), error);
  };
  const bool pmi2 = is_set("PMI_RANK") || is_set("PMI_FD");
  if (has("s1") || (pmi2 && (has("s2") || has("cray")))) return;
  fail(
      Failure::device, "communicator mpi: srun has started ", std::string(tasks),
      " processes (SLURM_STEP_NUM_TASKS) ",
      pmi2 ? "with PMI-2, which this Open MPI was built without"
           : "without PMI, so that they cannot find each other",
      "; expected what both have; use srun --mpi=pmix, as launch/slurm does, or another that `srun "
      "--mpi=list` and the MPI library offer");
}

#else
void require_pmi() {}
#endif

}  // namespace lockstep::mpi
