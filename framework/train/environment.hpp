// environment.json of a run folder: with what a training ran, to understand and repeat it.
#pragma once

#include <string>

#include "train/session.hpp"

namespace lockstep {

// Versions, processor, communicator, and host, processor, device and threads of each rank. All
// ranks call it; all get it.
std::string environment_json(Session& session);

}  // namespace lockstep
