// Every one of the 65536 patterns of both types, against values computed from the definition of the
// formats; and every place between two neighbours where rounding turns.
#include "base/half.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lockstep {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <class H>
struct Format;
template <>
struct Format<Bf16> {
  static constexpr int fraction_bits = 7, bias = 127;
  static constexpr uint16_t infinity = 0x7f80;
};
template <>
struct Format<F16> {
  static constexpr int fraction_bits = 10, bias = 15;
  static constexpr uint16_t infinity = 0x7c00;
};

// The value of a finite, positive pattern: IEEE 754-2019, section 3.4.
template <class H>
double value_of(uint16_t pattern) {
  using F = Format<H>;
  const int exponent = pattern >> F::fraction_bits;
  const int fraction = pattern & ((1 << F::fraction_bits) - 1);
  const int leading = exponent == 0 ? 0 : 1 << F::fraction_bits;
  return std::ldexp(leading + fraction, std::max(exponent, 1) - F::bias - F::fraction_bits);
}

// The pattern that x and -x round to; what is asked of -x differs in the sign alone.
template <class H>
uint16_t rounded(float x) {
  const uint16_t positive = from_float<H>(x).bits;
  EXPECT_EQ(from_float<H>(-x).bits, positive | 0x8000) << x;
  return positive;
}

template <class H>
class HalfTest : public ::testing::Test {};
using Types = ::testing::Types<Bf16, F16>;
TYPED_TEST_SUITE(HalfTest, Types);

TYPED_TEST(HalfTest, EveryNumberIsAFloatAndComesBackFromIt) {
  for (uint16_t pattern = 0; pattern < Format<TypeParam>::infinity; ++pattern) {
    const double value = value_of<TypeParam>(pattern);
    const float positive = to_float(TypeParam{pattern});
    const float negative = to_float(TypeParam{static_cast<uint16_t>(pattern | 0x8000)});
    ASSERT_EQ(positive, value) << pattern;
    ASSERT_EQ(negative, -value) << pattern;
    ASSERT_TRUE(std::signbit(negative)) << pattern;
    ASSERT_EQ(rounded<TypeParam>(positive), pattern);
  }
}

TYPED_TEST(HalfTest, RoundsToTheNearestAndTiesToEven) {
  for (uint16_t below = 0; below < Format<TypeParam>::infinity; ++below) {
    const auto above = static_cast<uint16_t>(below + 1);
    // Past the largest number stands what the next one would be; from half way on all is infinite.
    const double middle = (value_of<TypeParam>(below) + value_of<TypeParam>(above)) / 2;
    const auto tie = static_cast<float>(middle);
    ASSERT_EQ(tie, middle);
    ASSERT_EQ(rounded<TypeParam>(tie), below % 2 == 0 ? below : above) << tie;
    ASSERT_EQ(rounded<TypeParam>(std::nextafter(tie, 0.0f)), below) << tie;
    ASSERT_EQ(rounded<TypeParam>(std::nextafter(tie, kInfinity)), above) << tie;
  }
}

TYPED_TEST(HalfTest, KeepsInfinityAndNaN) {
  const uint16_t infinity = Format<TypeParam>::infinity;
  EXPECT_EQ(to_float(TypeParam{infinity}), kInfinity);
  EXPECT_EQ(rounded<TypeParam>(kInfinity), infinity);
  EXPECT_EQ(rounded<TypeParam>(std::numeric_limits<float>::max()), infinity);
  for (uint32_t pattern = infinity + 1u; pattern < 0x8000; ++pattern) {
    const float nan = to_float(TypeParam{static_cast<uint16_t>(pattern)});
    ASSERT_TRUE(std::isnan(nan)) << pattern;
    ASSERT_GT(rounded<TypeParam>(nan), infinity) << pattern;
  }
  // A NaN whose payload lies in the bits that are dropped alone, and one that rounding would carry
  // into the sign.
  EXPECT_GT(rounded<TypeParam>(detail::float_of(0x7f800001)), infinity);
  EXPECT_GT(rounded<TypeParam>(detail::float_of(0x7fffffff)), infinity);
  EXPECT_LT(rounded<TypeParam>(detail::float_of(0x7fffffff)), 0x8000);
}

}  // namespace
}  // namespace lockstep
