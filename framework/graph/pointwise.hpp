// Makes the op of a pointwise function and the op of its gradient from the function's loops.
#pragma once

#include <string>

#include "graph/op.hpp"

namespace lockstep {

// NAME: x -> y of the same shape, any rank.
OpDef pointwise_op(const std::string& name, const PointwiseLoops& loops, std::string help = {});
// NAME_grad: y, dy -> dx, all of one shape.
OpDef pointwise_grad_op(const std::string& name, const PointwiseLoops& loops);

}  // namespace lockstep
