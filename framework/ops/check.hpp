// Checks that inference rules share. Each throws Error{usage} "found; expected"; the graph adds
// label and op in front.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/layout.hpp"

namespace lockstep {

inline TensorType f32(Shape shape) { return {DType::f32, shape}; }
inline TensorType f64(Shape shape) { return {DType::f64, shape}; }

inline void check_inputs(std::span<const TensorType> inputs, size_t count) {
  if (inputs.size() == count) return;
  fail(Failure::usage, "has ", inputs.size(), " inputs; expected ", count);
}

inline void check_dtype(const TensorType& type, std::string_view what, DType dtype) {
  if (type.dtype == dtype) return;
  fail(Failure::usage, what, " is ", type, "; expected ", name(dtype));
}

// What activations may be: f32 or, where precision is mixed, one of the half types.
inline void check_real(const TensorType& type, std::string_view what) {
  if (type.dtype == DType::f32 || is_half(type.dtype)) return;
  fail(Failure::usage, what, " is ", type, "; expected f32, bf16 or f16");
}

// An activation of this rank.
inline void check_rank(const TensorType& type, std::string_view what, int rank) {
  check_real(type, what);
  if (type.shape.rank() == rank) return;
  constexpr std::string_view kForms[] = {"()",        "(C)",          "(N, K)",
                                         "(N, C, H)", "(N, C, H, W)", "(N, C, D, H, W)"};
  fail(Failure::usage, what, " is ", type, "; expected ", kForms[rank]);
}

inline void check_type(const TensorType& type, std::string_view what, const TensorType& expected) {
  if (type == expected) return;
  fail(Failure::usage, what, " is ", type, "; expected ", expected);
}

// A shape kept in an attribute, such as the input_shape of a gradient op.
inline Shape check_stored_shape(const std::vector<int64_t>& extents, std::string_view what) {
  if (extents.size() != 4) {
    fail(Failure::usage, what, " has ", extents.size(), " extents; expected 4");
  }
  return Shape(std::span<const int64_t>(extents));
}

inline void check_window(const std::array<int, 2>& values, std::string_view what, int least) {
  if (values[0] >= least && values[1] >= least) return;
  fail(Failure::usage, what, " is ", values[0], " x ", values[1], "; expected at least ", least);
}

inline std::vector<int64_t> extents_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

// For an output without elements: what a model says of images that it has shrunk to nothing.
[[noreturn]] inline void fail_too_small(const Shape& input, std::string_view found) {
  fail(Failure::usage, "input ", input, ' ', found,
       "; the images are too small for this model; use larger images or a model for small ones");
}

}  // namespace lockstep
