// The extents of a tensor: at most six, kept inline, so that shapes are copied freely.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/error.hpp"

namespace lockstep {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) {
    for (int64_t extent : extents) append(extent);
  }
  explicit Shape(std::span<const int64_t> extents) {
    for (int64_t extent : extents) append(extent);
  }

  void append(int64_t extent) {
    LS_ASSERT(rank_ < kMaxRank);
    extents_[rank_++] = extent;
  }

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return extents_[axis]; }
  int64_t& operator[](int axis) { return extents_[axis]; }
  const int64_t* begin() const { return extents_.data(); }
  const int64_t* end() const { return extents_.data() + rank_; }

  // The number of elements; 1 for a scalar, whose shape is ().
  int64_t numel() const {
    int64_t count = 1;
    for (int64_t extent : *this) count *= extent;
    return count;
  }

  // "(128, 3, 32, 32)"
  std::string text() const {
    std::string text = "(";
    for (int axis = 0; axis < rank_; ++axis) {
      if (axis > 0) text += ", ";
      text += std::to_string(extents_[axis]);
    }
    return text + ")";
  }

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace lockstep
