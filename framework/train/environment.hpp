// environment.json of a run folder: with what a training ran, to understand and repeat it.
#pragma once

#include <string>

#include "train/session.hpp"
#include "train/steps.hpp"

namespace lockstep {

// Versions, processor, communicator, shards of a step on each rank, and host, processor, device and
// threads of each rank. All ranks call it; all get it.
std::string environment_json(Session& session, const Sharding& sharding);

}  // namespace lockstep
