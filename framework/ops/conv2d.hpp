// What conv2d and the ops made of it have in common.
#pragma once

#include "base/layout.hpp"
#include "ops/attributes.hpp"

namespace lockstep {

// The type of y for the types of x and w; throws Error{usage} that says what does not fit.
TensorType conv2d_output_type(const TensorType& x, const TensorType& w,
                              const Conv2dAttributes& attributes);

// Of the convolution and of both its gradients: one per weight and output position.
int64_t conv2d_multiply_adds(const Shape& y, const Shape& w);

}  // namespace lockstep
