// How many compute threads a rank's cores are good for: ranks of a host may be bound to cores of
// their own, to the cores of a NUMA node that several share, or to none.
#pragma once

#include <string_view>

#include "runtime/communication_thread.hpp"

namespace lockstep {

// Cores in a list as Linux writes it: "0-3,8" has 5.
int count_cores(std::string_view list);

// Among ranks that may all run on the same `cores`: the first ones get what the division leaves; at
// least 1.
int share_of_cores(int cores, int index, int ranks);

// This rank's share of the cores that it may run on; 0: not known. All ranks call it.
int share_of_cores(CommunicationThread& communication);

}  // namespace lockstep
