// The state of training as a checkpoint, and back.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "plan/state.hpp"
#include "runtime/communication_thread.hpp"

namespace lockstep {

// Copies parameters, buffers and slots to the host. The rest of the checkpoint is the caller's.
Checkpoint take_snapshot(const State& state, const std::vector<std::string>& slot_names);

// Puts a checkpoint's parameters, buffers and slots into the state, to resume. Every tensor of the
// state must be there in its shape, and no other: else Error{checkpoint} that says which are
// missing, left over or of another shape. `where` begins the message.
void restore_snapshot(State& state, const Checkpoint& checkpoint,
                      const std::vector<std::string>& slot_names, std::string_view where);

// Makes parameters, buffers and slots of all ranks those of rank 0. All ranks call it.
void broadcast_state(State& state, CommunicationThread& communication);

// About how large a checkpoint will be: for the check of the disk and for people.
int64_t checkpoint_bytes(const ParameterLayout& layout, int slots);

}  // namespace lockstep
