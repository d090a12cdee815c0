// What training and evaluation share on a rank: the other ranks, the device, the data, and how
// plans are asked for.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "data/bad_samples.hpp"
#include "data/open.hpp"
#include "device/device.hpp"
#include "plan/plan.hpp"
#include "plugin/registry.hpp"
#include "recipe/recipe.hpp"
#include "runtime/communication_thread.hpp"
#include "runtime/executor.hpp"
#include "train/process_place.hpp"

namespace lockstep {

// "auto" made definite: "local" unless started by mpirun or srun, then "nccl" with the device cuda,
// else "mpi".
std::string communicator_name(const Recipe& recipe, Registry& registry);
// "auto" made definite: "cuda" where there is a GPU, else "cpu"; why not cuda is a debug line.
std::string device_name(const Recipe& recipe, Registry& registry);

// Starts the communication thread with the recipe's communicator.
std::unique_ptr<CommunicationThread> start_communication(const Recipe& recipe, Registry& registry);
// The recipe's device, with this rank's share of the host: `threads` where the recipe does not say;
// 0: the device's own choice. Throws Error{usage} where it does not compute in the recipe's
// precision.
std::unique_ptr<Device> make_device(const Recipe& recipe, Registry& registry, int local_rank,
                                    int local_size, int threads = 0);

// Throws Error{usage} where the communicator cannot reach what is in the device's memory.
void require_common_memory(const Recipe& recipe, Registry& registry, const Device& device,
                           const CommunicationThread& communication);

// Everything about plans but mode and batch size.
PlanRequest plan_request(const Recipe& recipe, const OpenedData& data, Registry& registry);
// How parameters lie in the arenas of this mode.
ParameterLayout parameter_layout(const PlanRequest& request, Mode mode, const Registry& registry,
                                 const Device& device);

// How plans are run, as the recipe asks.
ExecutorOptions executor_options(const Recipe& recipe);

// Loader workers of this rank: data.workers, or a share of the rank's cores.
int loader_workers(const Recipe& recipe, const Device& device);

class Session {
 public:
  // Joins the other ranks and sets up logging.
  Session(Recipe recipe, Registry& registry, bool quiet);
  // Makes the device and opens the data, unless the ranks and their hosts do not fit together:
  // site.hpp. Apart from the constructor, so that its errors can end all ranks.
  void open(DataUse use);

  bool is_first() const { return communication->rank() == 0; }

  Recipe recipe;
  Registry& registry;
  const ProcessPlace place;        // as it was before MPI began, which sets variables itself
  std::unique_ptr<Device> device;  // outlives collectives on its memory
  std::unique_ptr<CommunicationThread> communication;
  OpenedData data;
  std::shared_ptr<BadSamples> bad_samples;  // of this rank; null where one is an error
};

// Runs a command's work on this rank. An error ends all ranks with its exit code: with one rank it
// is thrown on, among several it is printed with its rank, by rank 0 first, so that what all of
// them find is said once.
int run_on_ranks(Session& session, const std::function<int()>& work);

// The recipe of a command line on every rank; what is wrong with it is said by rank 0 alone.
Recipe load_recipe_on_ranks(const std::function<Recipe()>& load);

}  // namespace lockstep
