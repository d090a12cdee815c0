// The loops of batch_norm_loops.hpp.
//
// What belongs to lanes lies in local arrays, which nothing else can point to, and whole steps of
// kLanes have a loop of their own: so compilers hold the arrays in vector registers while they walk
// a row.
#include "batch_norm_loops.hpp"

#include <lockstep/plugin.hpp>

namespace lockstep::cpu {
namespace {

using Local = float[kLanes];

inline void copy(const Lanes& from, Local& to) {
  for (size_t l = 0; l < kLanes; ++l) to[l] = from[l];
}
inline void add(const Local& from, std::array<double, kLanes>& to) {
  for (size_t l = 0; l < kLanes; ++l) to[l] += static_cast<double>(from[l]);
}

// Calls one(element, lane) for all elements of the rows.
template <class One>
[[gnu::always_inline]] inline void for_each_lane(Rows rows, One one) {
  for (int64_t r = 0; r < rows.count; ++r) {
    int64_t i = r * rows.stride;
    const int64_t end = i + rows.length;
    for (; i + kLanes <= end; i += kLanes) {
#pragma GCC ivdep
      for (int64_t l = 0; l < kLanes; ++l) one(i + l, l);
    }
#pragma GCC ivdep
    for (int64_t l = 0; l < end - i; ++l) one(i + l, l);
  }
}

template <bool kRelu, bool kResidual>
LOCKSTEP_CLONES void normalize(const float* x, const float* residual, float* y, Rows rows,
                               const Lanes& means, const Lanes& scales, const Lanes& shifts) {
  Local mean, scale, shift;
  copy(means, mean), copy(scales, scale), copy(shifts, shift);
  for_each_lane(
      rows, [&](int64_t i, int64_t l) __attribute__((always_inline)) {
        float value = (x[i] - mean[l]) * scale[l] + shift[l];
        if (kResidual) value += residual[i];
        y[i] = kRelu && value < 0 ? 0 : value;  // NaN stays
      });
}

template <bool kRelu, bool kKeep>
LOCKSTEP_CLONES void grad_sums(const float* x, const float* dy, const float* y, float* kept,
                               Rows rows, const Lanes& means, LaneGradSums& all) {
  Local mean, sums{}, products{};
  copy(means, mean);
  for_each_lane(
      rows, [&](int64_t i, int64_t l) __attribute__((always_inline)) {
        const float d = dy[i];
        const float g = kRelu && !(y[i] > 0) ? 0 : d;
        sums[l] += g;
        products[l] += g * (x[i] - mean[l]);
        if (kKeep) kept[i] = g;
      });
  add(sums, all.g), add(products, all.g_deviation);
}

template <bool kRelu>
LOCKSTEP_CLONES void grads(const float* x, const float* dy, const float* y, float* dx, Rows rows,
                           const Lanes& means, const Lanes& scales, const Lanes& offsets,
                           const Lanes& slopes) {
  Local mean, scale, offset, slope;
  copy(means, mean), copy(scales, scale), copy(offsets, offset), copy(slopes, slope);
  for_each_lane(
      rows, [&](int64_t i, int64_t l) __attribute__((always_inline)) {
        const float d = dy[i];
        const float g = kRelu && !(y[i] > 0) ? 0 : d;
        dx[i] = scale[l] * (g - offset[l] - slope[l] * (x[i] - mean[l]));
      });
}

}  // namespace

// The rows' own mean comes first, then deviations from it: as exact as two passes over the batch,
// whatever the mean is, at the price of one. What the rows give is merged as in Chan, Golub and
// LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979,
// equation 2.1.
LOCKSTEP_CLONES void add_moments(const float* x, Rows rows, LaneMoments& moments) {
  Local sums{}, centre, deviations{}, squares{};
  double count[kLanes];
  for_each_lane(
      rows, [&](int64_t i, int64_t l) __attribute__((always_inline)) { sums[l] += x[i]; });
  for (int64_t l = 0; l < kLanes; ++l) {
    const int64_t tail = l < rows.length % kLanes ? 1 : 0;
    count[l] = static_cast<double>(rows.count * (rows.length / kLanes + tail));
    centre[l] = static_cast<float>(sums[l] / (count[l] > 0 ? count[l] : 1));
  }
  for_each_lane(
      rows, [&](int64_t i, int64_t l) __attribute__((always_inline)) {
        const float deviation = x[i] - centre[l];
        deviations[l] += deviation;
        squares[l] += deviation * deviation;
      });
  for (size_t l = 0; l < kLanes; ++l) {
    // The centre is the mean to float precision only: what remains is put right here.
    const double rest = deviations[l] / (count[l] > 0 ? count[l] : 1);
    const double total = moments.count[l] + count[l];
    const double part = count[l] / (total > 0 ? total : 1);
    const double delta = centre[l] + rest - moments.mean[l];
    moments.m2[l] += squares[l] - deviations[l] * rest + delta * delta * part * moments.count[l];
    moments.mean[l] += delta * part;
    moments.count[l] = total;
  }
}

void normalize_rows(const float* x, const float* residual, float* y, Rows rows, bool relu,
                    const Lanes& mean, const Lanes& scale, const Lanes& shift) {
  const bool add = residual != nullptr;
  const auto loop = relu ? (add ? normalize<true, true> : normalize<true, false>)
                         : (add ? normalize<false, true> : normalize<false, false>);
  loop(x, residual, y, rows, mean, scale, shift);
}

void add_grad_sums(const float* x, const float* dy, const float* y, float* kept, Rows rows,
                   const Lanes& mean, LaneGradSums& sums) {
  const bool keep = kept != nullptr;
  const auto loop = y != nullptr ? (keep ? grad_sums<true, true> : grad_sums<true, false>)
                                 : (keep ? grad_sums<false, true> : grad_sums<false, false>);
  loop(x, dy, y, kept, rows, mean, sums);
}

void grad_rows(const float* x, const float* dy, const float* y, float* dx, Rows rows,
               const Lanes& mean, const Lanes& scale, const Lanes& offset, const Lanes& slope) {
  const auto loop = y != nullptr ? grads<true> : grads<false>;
  loop(x, dy, y, dx, rows, mean, scale, offset, slope);
}

}  // namespace lockstep::cpu
