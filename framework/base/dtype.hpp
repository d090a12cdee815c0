// Element types of tensors.
#pragma once

#include <cstdint>
#include <string_view>

namespace lockstep {

enum class DType : uint8_t { f32, f64, f16, bf16, i64, i32, u8 };

constexpr int64_t size_of(DType type) {
  switch (type) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

constexpr std::string_view name(DType type) {
  constexpr std::string_view kNames[] = {"f32", "f64", "f16", "bf16", "i64", "i32", "u8"};
  return kNames[static_cast<int>(type)];
}

// Of two bytes: what activations and weights are computed in with mixed precision.
constexpr bool is_half(DType type) { return type == DType::f16 || type == DType::bf16; }

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};

}  // namespace lockstep
