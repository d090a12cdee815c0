// train.auto_accumulate: as many shards per step as the devices' memory asks for.
#pragma once

#include "plan/plan.hpp"
#include "train/session.hpp"
#include "train/steps.hpp"

namespace lockstep {

// The recipe's train.gradient_accumulation, or the least above it with which training and
// evaluation fit into what is free on the device of every rank; the step keeps its samples. Told
// before anything is allocated. All ranks call it and get the same; rank 0 says so in one line.
int64_t agree_on_accumulation(Session& session, const EpochSteps& steps, const PlanRequest& request,
                              int optimizer_slots);

// The least number of shards per rank, of which none has more than `most` of the step's samples.
int64_t accumulation_for(const Slice& step, int world_size, int64_t most);

}  // namespace lockstep
