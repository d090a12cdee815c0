// Which copy of the optimizer updates which range of the parameter arena.
#pragma once

#include <memory>

#include "plan/parameters.hpp"
#include "recipe/recipe.hpp"
#include "runtime/executor.hpp"
#include "train/optimizer.hpp"

namespace lockstep {

// A copy of the optimizer for each pair of rate and weight decay that the section asks for: by its
// groups, of which the first that names a parameter holds, and without decay for biases and
// normalisation where decay_norm_and_bias is false; these are also updated without adaptation then,
// where the optimizer has the option `adaptive`. Neighbours in the arena with the same copy make
// one segment, unless the optimizer needs the norms of tensors.
UpdatePlan plan_update(const ParameterLayout& layout, const OptimizerSection& section,
                       const std::shared_ptr<const Optimizer>& optimizer, double clip_grad_norm);

}  // namespace lockstep
