#include "train/process_place.hpp"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

namespace lockstep {
namespace {

struct Number {
  const char* variable = "";
  int value = -1;
};

// The first of these variables that is set; -1: none.
Number first_number(std::initializer_list<const char*> variables) {
  for (const char* variable : variables) {
    if (const char* text = std::getenv(variable)) return {variable, std::atoi(text)};
  }
  return {};
}

}  // namespace

ProcessPlace process_place() {
  // Open MPI's mpirun, MPICH's and Slurm's PMI, PMIx; srun without any of them still numbers its
  // tasks. An mpirun inside of a Slurm job starts its daemons by srun: then the variables of
  // Slurm's step count these.
  Number rank = first_number({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"});
  Number tasks = first_number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"});
  const bool in_step = std::getenv("SLURM_STEP_ID") != nullptr;
  const bool by_srun = in_step && std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr;
  if (by_srun && tasks.value < 0) tasks = first_number({"SLURM_STEP_NUM_TASKS"});
  if (rank.value < 0 && by_srun && tasks.value > 1) rank = first_number({"SLURM_PROCID"});
  return {.among_ranks = rank.value >= 0,
          .rank = std::max(rank.value, 0),
          .tasks = std::max(tasks.value, 0),
          .said_by = tasks.variable,
          .by_srun = by_srun};
}

}  // namespace lockstep
