// Optimizers: trivially copyable functors that update one element; the framework makes the loops.
//
// A functor has `static constexpr int slots` (state arrays, shaped like the parameter,
// checkpointed), optionally `static constexpr std::string_view slot_names[]`, and
//   LS_HD void operator()(StepInfo step, float& w, float g, Slots<slots> slot) const
// One with `static constexpr bool needs_norms = true` is told about the element's tensor too:
//   LS_HD void operator()(StepInfo step, Norms norms, float& w, float g, Slots<slots> slot) const
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_device.hpp"
#include "base/options.hpp"

namespace lockstep {

// What changes from step to step; lies in device memory as it is.
struct StepInfo {
  float lr = 0;              // of the group: the schedule's rate times the group's multiplier
  float gradient_scale = 1;  // what gradients are multiplied with before use (clipping by norm, and
                             // 1 / the loss scale of fp16)
  int64_t step = 1;          // counts from 1; skipped steps of fp16 do not count
};

// Euclidean norms of the tensor that an element belongs to: of its weights before this step, and of
// its gradient as the functor gets it, scaled. Zero where the optimizer does not need them.
struct Norms {
  float weight = 0;
  float gradient = 0;
};

// The state of one element: slot[k] is the element of the k-th slot array.
template <int N>
struct Slots {
  float* const* arrays;
  int64_t index;
  LS_HD float& operator[](int k) const { return arrays[k][index]; }
};
template <>
struct Slots<0> {
  float* const* arrays;
  int64_t index;
};

template <class Functor>
constexpr bool needs_norms_of() {
  if constexpr (requires { Functor::needs_norms; }) return Functor::needs_norms;
  return false;
}

// One element of either kind of functor; what a device's loop calls.
template <class Functor, int N>
LS_HD void update_element(const Functor& functor, StepInfo step, Norms norms, float& w, float g,
                          Slots<N> slot) {
  if constexpr (needs_norms_of<Functor>()) {
    functor(step, norms, w, g, slot);
  } else {
    functor(step, w, g, slot);
  }
}

// An optimizer with its options read, type-erased.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual int slots() const = 0;
  virtual std::vector<std::string> slot_names() const = 0;
  // Whether update() wants the norms of the tensor; every segment is then a whole tensor.
  virtual bool needs_norms() const = 0;
  // Elements [begin, end) of the arrays, of one tensor where norms are needed, on the calling
  // thread. g is scaled by step.gradient_scale first.
  virtual void update(StepInfo step, Norms norms, float* w, const float* g, float* const* slots,
                      int64_t begin, int64_t end) const = 0;
  // A copy with some options replaced, for a parameter group. Unknown options throw Error{usage}.
  virtual std::shared_ptr<const Optimizer> with(const Setting::Table& options) const = 0;
  // Its options with their values, in the order of description.
  virtual Setting::Table options() const = 0;
  // For a device's twin of the functor (built from the same source): its bytes and their number.
  virtual const void* functor() const = 0;
  virtual int64_t functor_bytes() const = 0;
};

}  // namespace lockstep
