// Which copy of the optimizer updates which range of the parameter arena.
#pragma once

#include <memory>
#include <string>

#include "plan/parameters.hpp"
#include "runtime/executor.hpp"
#include "train/optimizer.hpp"

namespace lockstep {

// One group; a second one without weight decay for biases and normalisation where
// decay_norm_and_bias is false. Neighbours of one group make one segment.
UpdatePlan plan_update(const ParameterLayout& layout, const std::string& optimizer_name,
                       std::shared_ptr<const Optimizer> optimizer, bool decay_norm_and_bias,
                       double clip_grad_norm);

}  // namespace lockstep
