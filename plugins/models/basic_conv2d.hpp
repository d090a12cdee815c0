// What both Inception networks are made of, under torchvision's names.
#pragma once

#include <lockstep/plugin.hpp>

namespace lockstep {

// The convolution "conv", the batch norm "bn" (epsilon 1e-3) and ReLU.
inline Value basic_conv2d(Scope s, Value x, const nn::Conv2d& options) {
  const Value y = nn::conv2d(s / "conv", x, options);
  return nn::relu(nn::batch_norm(s / "bn", y, {.epsilon = 1e-3}));
}

}  // namespace lockstep
