// Whether the processes of a run and their hosts fit together. Each rank says what it knows of its
// place as text by key, all ranks get the facts of all, and what is wrong is said with its remedy
// before the first step: one host with another build or other data would train to a wrong end.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "plugin/registry.hpp"
#include "recipe/recipe.hpp"
#include "runtime/communication_thread.hpp"
#include "train/process_place.hpp"

namespace lockstep {

// What is wrong with a site: *where: what was found; what was expected; how to repair*.
struct Finding {
  bool fatal = false;  // otherwise a warning
  Failure failure = Failure::device;
  std::string text;
};

// Facts by key, which are words of the messages; site_rules.cpp says which must be equal.
//   host, machine         its name, and what tells hosts of equal names apart
//   version of lockstep, ABI id
//   kind of device        its name in recipes
//   file FILE             the digest of the library, the command, and each plugin of the recipe
//   libraries             of communicator and device, with their versions
//   instruction set       of the processor
//   cores                 that this process may run on: "0-3,8"
//   cores of host         how many there are for this job
//   threads, workers      of the recipe; 0 and -1: chosen by Lockstep
//   open files            the soft limit
//   clock                 seconds, at a moment at which all ranks look
//   device id             of a device that ranks must not share, such as a GPU's UUID
// and those of the data: data_fingerprint.hpp. Where a fact is not known, the key is absent.
using Facts = std::map<std::string, std::string, std::less<>>;

// Those of this process, but for the data's; it waits for all ranks to look at the clock together.
Facts site_facts(const Recipe& recipe, Registry& registry, CommunicationThread& communication);

// Host, machine, and the id of the device that is this rank's.
Facts place_facts(const Device& device);

// From every rank to every rank, in rank order.
std::vector<Facts> gather_facts(const Facts& mine, CommunicationThread& communication);

// What does not fit between ranks, or on one of them. The worst comes first.
std::vector<Finding> compare_ranks(std::span<const Facts> ranks);

// Whether there are as many ranks as mpirun or srun has started; at most one finding.
std::vector<Finding> check_tasks(const ProcessPlace& place, int world_size,
                                 std::string_view communicator);

// Compute threads for a rank: its share of the cores it may run on, which it has for itself where
// mpirun or srun gave each rank its own. 0: unknown.
int share_of_cores(std::span<const Facts> ranks, int rank);

// Throws the first fatal finding; rank 0 does so first, for it ends the others, which would say the
// same. Warnings are said by rank 0, which alone has a terminal.
void act_on(std::span<const Finding> findings, int rank);

}  // namespace lockstep
