// The short form of half_losses_slow_test.cpp.
#include "train/half_losses.hpp"

namespace lockstep {
namespace {

using test::HalfLossesTest;

TEST_F(HalfLossesTest, FirstStepsInBf16AreWithinTheSpreadOfFloatSeeds) {
  expect_bf16_within_the_spread_of_seeds({.steps = 60, .batch = 16, .seeds = 3, .last = 20});
}

}  // namespace
}  // namespace lockstep
