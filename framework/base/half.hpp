// The element types of two bytes, and their conversions from and to float, for host and GPU:
// bfloat16 (8 bits of exponent, 7 of fraction) and IEEE 754-2019 binary16 (5 and 10).
//
// From float both round to nearest, ties to even; what is too large becomes infinite, NaN stays
// NaN with its sign, and denormal numbers are exact. To float both are exact. Written without
// branches on data, so that compilers turn loops over them into vector code. On a GPU its own
// instructions do the same, but for NaN, which loses sign and payload.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/dtype.hpp"
#include "base/host_device.hpp"

namespace lockstep {

struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};
template <>
struct DTypeOf<Bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<F16> {
  static constexpr DType value = DType::f16;
};

namespace detail {

LS_HD inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
LS_HD inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
// Drops the lowest `count` bits, to nearest, ties to even.
LS_HD inline uint32_t round_off(uint32_t bits, int count) {
  const uint32_t half = (1u << (count - 1)) - 1;
  return (bits + half + ((bits >> count) & 1)) >> count;
}

constexpr uint32_t kFloatSign = 0x80000000;
constexpr uint32_t kFloatInfinity = 0x7f800000;

}  // namespace detail

LS_HD inline float to_float(float x) { return x; }
LS_HD inline float to_float(Bf16 x) { return detail::float_of(uint32_t{x.bits} << 16); }

LS_HD inline float to_float(F16 x) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
#else
  constexpr uint32_t kLeastNormal = 0x0400, kInfinity = 0x7c00;
  constexpr uint32_t kBias = (127 - 15) << 23;  // between the two exponents
  const uint32_t sign = uint32_t{x.bits & 0x8000u} << 16;
  const uint32_t magnitude = x.bits & 0x7fffu;
  const uint32_t normal = (magnitude << 13) + (magnitude < kInfinity ? kBias : 2 * kBias);
  const uint32_t denormal =
      detail::bits_of(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  return detail::float_of(sign | (magnitude < kLeastNormal ? denormal : normal));
#endif
}

template <class T>
LS_HD inline T from_float(float x);

template <>
LS_HD inline float from_float<float>(float x) {
  return x;
}

template <>
LS_HD inline Bf16 from_float<Bf16>(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint16_t result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(x));
  return {result};
#else
  constexpr uint32_t kQuiet = 0x0040;  // a NaN must not lose its last bit
  const uint32_t bits = detail::bits_of(x);
  const bool is_nan = (bits & ~detail::kFloatSign) > detail::kFloatInfinity;
  return {static_cast<uint16_t>(is_nan ? bits >> 16 | kQuiet : detail::round_off(bits, 16))};
#endif
}

template <>
LS_HD inline F16 from_float<F16>(float x) {
#if defined(__CUDA_ARCH__)
  uint16_t result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(x));
  return {result};
#else
  constexpr uint32_t kLeastNormal = (127u - 14) << 23;  // 2^-14
  constexpr uint32_t kTooLarge = 0x477ff000;            // 65520: from here on infinite
  constexpr uint32_t kBias = (127u - 15) << 23;
  const uint32_t bits = detail::bits_of(x);
  const uint32_t magnitude = bits & ~detail::kFloatSign;
  const uint32_t normal = detail::round_off(magnitude - kBias, 13);
  // The last bit of 0.5 is worth 2^-24, as that of a denormal binary16: the addition rounds.
  const uint32_t denormal =
      detail::bits_of(detail::float_of(magnitude) + 0.5f) - detail::bits_of(0.5f);
  uint32_t result = magnitude < kLeastNormal ? denormal : normal;
  result = magnitude >= kTooLarge ? 0x7c00 : result;
  result = magnitude > detail::kFloatInfinity ? 0x7e00 | (magnitude >> 13 & 0x3ff) : result;
  return {static_cast<uint16_t>(result | (bits >> 16 & 0x8000))};
#endif
}

}  // namespace lockstep
