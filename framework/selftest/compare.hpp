// How far a tensor is from what it should be.
#pragma once

#include <string>

#include "selftest/tensor.hpp"

namespace lockstep {

struct Difference {
  double error = 0;    // |found - expected| / |expected|, Euclidean; integers: 0 or infinite
  size_t element = 0;  // where they differ most
  double found = 0;
  double expected = 0;

  // "element 17: found 0.5; expected 0.25"
  std::string text() const;
};

// Both of one type and shape. What is no number is infinitely far away.
Difference compare(const Tensor& found, const Tensor& expected);

}  // namespace lockstep
