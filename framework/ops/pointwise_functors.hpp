// The framework's own pointwise functions, for host and GPU. Gradients are functions of y, so x
// need not be kept.
#pragma once

#include <cmath>

#include "base/host_device.hpp"

namespace lockstep {

struct Relu {
  // Written so that NaN passes through, as in PyTorch.
  LS_HD static float forward(float x) { return x < 0 ? 0 : x; }
  LS_HD static float backward(float y, float dy) { return y > 0 ? dy : 0; }
};

struct Sigmoid {
  LS_HD static float forward(float x) { return 1 / (1 + std::exp(-x)); }
  LS_HD static float backward(float y, float dy) { return dy * y * (1 - y); }
};

struct Tanh {
  LS_HD static float forward(float x) { return std::tanh(x); }
  LS_HD static float backward(float y, float dy) { return dy * (1 - y * y); }
};

}  // namespace lockstep
