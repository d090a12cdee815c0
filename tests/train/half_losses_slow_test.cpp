// LABELS: slow
#include "train/half_losses.hpp"

namespace lockstep {
namespace {

using test::HalfLossesTest;

TEST_F(HalfLossesTest, TwoHundredStepsInBf16AreWithinTheSpreadOfFloatSeeds) {
  expect_bf16_within_the_spread_of_seeds({.steps = 200, .batch = 32, .seeds = 5, .last = 50});
}

}  // namespace
}  // namespace lockstep
