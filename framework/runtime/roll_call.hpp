// What a roll call among the ranks says about those that a collective waits for.
#pragma once

#include <span>
#include <string>

#include "device/communicator.hpp"

namespace lockstep {

// Names, with their hosts, the ranks that do not answer, and those that answer but have not started
// collective `number`. `ranks` may be empty (nobody could be asked); `self` is the asking rank.
std::string who_is_absent(std::span<const Presence> ranks, int self, int64_t number);

}  // namespace lockstep
