// Twins: NAME.cuda.so beside NAME.so is the source of the plugin compiled once more, by nvcc, for
// its optimizers and pointwise functions to run on a GPU. Only a device that runs such functors
// opens it, when it first prepares one.
#pragma once

#include <string>
#include <string_view>

#include "device/functor_launches.hpp"

namespace lockstep {

// The path of the twin of a plugin's file.
std::string twin_path(std::string_view plugin);

// The launch of an optimizer, or of a pointwise op or its gradient, that the plugin of this file
// registers. Twins are opened once and stay. Throws Error{device} that says how to repair it where
// there is no twin, where it does not fit or does not register the name.
LaunchUpdate find_update_launch(const std::string& plugin, std::string_view optimizer);
PointwiseLaunches find_pointwise_launches(const std::string& plugin, std::string_view op);

}  // namespace lockstep
