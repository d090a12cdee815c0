// Guesses which model a file of weights is for, to help those who named another.
#pragma once

#include <string>

#include "plugin/registry.hpp"
#include "weights/weights.hpp"

namespace lockstep {

// "resnet with model.depth = 50, model.groups = 32, model.width_per_group = 4": of all models and
// the values of their options that change their parameters, the one that takes the most of the
// tensors, heads apart. Numbers whose range is open are looked for among the file's extents. Empty
// if none takes most.
std::string likely_model(const Weights& weights, Registry& registry);

}  // namespace lockstep
