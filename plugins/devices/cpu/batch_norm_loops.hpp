// The loops of batch normalisation over rows of plain or blocked images, compiled for several
// instruction sets.
//
// A row is walked kLanes elements at a time; lane l of all rows belongs to channel l % block. So
// one loop serves every layout, and what differs between channels comes as arrays of kLanes values.
#pragma once

#include <array>

#include "view.hpp"

namespace lockstep::cpu {

constexpr int64_t kLanes = 32;
using Lanes = std::array<float, kLanes>;

// `count` rows of `length` elements, `stride` elements apart.
struct Rows {
  int64_t count;
  int64_t length;
  int64_t stride;
};

// Per lane: how many values there were, their mean, and the sum of their squared deviations from
// it.
struct LaneMoments {
  std::array<double, kLanes> count{}, mean{}, m2{};
};
// Per lane: sums of g and of g * (x - mean).
struct LaneGradSums {
  std::array<double, kLanes> g{}, g_deviation{};
};

// Takes in the rows, which should fit the first cache: they are looked at twice.
void add_moments(const float* x, Rows rows, LaneMoments& moments);
// y = (x - mean) * scale + shift [+ residual] [, 0 if that is negative]; residual may be null
void normalize_rows(const float* x, const float* residual, float* y, Rows rows, bool relu,
                    const Lanes& mean, const Lanes& scale, const Lanes& shift);
// With g = dy, 0 where y is not positive (y may be null): takes in the rows; g goes to kept unless
// that is null.
void add_grad_sums(const float* x, const float* dy, const float* y, float* kept, Rows rows,
                   const Lanes& mean, LaneGradSums& sums);
// dx = scale * (g - offset - slope * (x - mean))
void grad_rows(const float* x, const float* dy, const float* y, float* dx, Rows rows,
               const Lanes& mean, const Lanes& scale, const Lanes& offset, const Lanes& slope);

}  // namespace lockstep::cpu
