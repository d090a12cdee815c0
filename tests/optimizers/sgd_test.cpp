#include <gtest/gtest.h>

#include "plugin/registry.hpp"
#include "support/expect_error.hpp"

namespace lockstep::testing {
namespace {

Setting::Table options(double momentum, double weight_decay, bool nesterov) {
  return {{"momentum", "test", {momentum, "test"}},
          {"weight_decay", "test", {weight_decay, "test"}},
          {"nesterov", "test", {nesterov, "test"}}};
}

std::shared_ptr<const Optimizer> sgd(const Setting::Table& table) {
  static Registry registry;
  return registry.find_optimizer("sgd").make(table);
}

// The weight after two steps at rate 0.1 from w = 1 with gradients 2 and -1, each given as half
// with scale 2.
float after_two_steps(const Optimizer& optimizer) {
  float w = 1, velocity = 0;
  float* slots[] = {&velocity};
  const float gradients[] = {1, -0.5};
  for (int64_t step = 0; step < 2; ++step) {
    optimizer.update({.lr = 0.1f, .gradient_scale = 2, .step = step + 1}, {}, &w, &gradients[step],
                     slots, 0, 1);
  }
  return w;
}

// Expected values follow from the update rule that torch.optim.SGD documents.
TEST(SgdTest, EqualsPyTorch) {
  EXPECT_NEAR(after_two_steps(*sgd(options(0, 0, false))), 0.9, 1e-6);
  EXPECT_NEAR(after_two_steps(*sgd(options(0.9, 0, false))), 0.72, 1e-6);
  EXPECT_NEAR(after_two_steps(*sgd(options(0.9, 0, true))), 0.648, 1e-6);
  EXPECT_NEAR(after_two_steps(*sgd(options(0.9, 0.1, false))), 0.6931, 1e-6);
  EXPECT_NEAR(after_two_steps(*sgd(options(0.9, 0.1, true))), 0.609481, 1e-6);
}

TEST(SgdTest, HasOneSlotNamedVelocity) {
  EXPECT_EQ(sgd({})->slot_names(), (std::vector<std::string>{"velocity"}));
}

TEST(SgdTest, UpdatesOnlyItsRange) {
  float w[] = {1, 1, 1}, g[] = {1, 1, 1}, velocity[] = {0, 0, 0};
  float* slots[] = {velocity};
  sgd({})->update({.lr = 0.5f, .gradient_scale = 1, .step = 1}, {}, w, g, slots, 1, 2);
  EXPECT_EQ(w[0], 1);
  EXPECT_EQ(w[1], 0.5f);
  EXPECT_EQ(w[2], 1);
}

TEST(SgdTest, RefusesNegativeOptions) {
  expect_error([] { sgd(options(0.9, -1, false)); }, Failure::usage, "weight_decay");
  expect_error([] { sgd(options(1.5, 0, false)); }, Failure::usage, "momentum");
}

}  // namespace
}  // namespace lockstep::testing
