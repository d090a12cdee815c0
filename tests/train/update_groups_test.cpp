#include "train/update_groups.hpp"

#include <gtest/gtest.h>

#include "plugin/registry.hpp"

namespace lockstep {
namespace {

class UpdateGroupsTest : public ::testing::Test {
 protected:
  // conv, bn weight and bias, a second conv, and a frozen one, each in 16 places of its own.
  static ParameterLayout layout() {
    ParameterLayout layout;
    const auto add = [&](const char* name, ParameterKind kind, bool trainable) {
      const auto offset = static_cast<int64_t>(layout.parameters.size()) * 16;
      layout.parameters.push_back({name, {10}, {{}, kind}, trainable, offset, 10});
    };
    add("conv2.weight", ParameterKind::weight, true);
    add("bn1.weight", ParameterKind::norm, true);
    add("bn1.bias", ParameterKind::norm, true);
    add("conv1.weight", ParameterKind::weight, true);
    add("conv1.bias", ParameterKind::bias, true);
    add("frozen.weight", ParameterKind::weight, false);
    return layout;
  }
  UpdatePlan plan(bool decay_norm_and_bias) {
    const Setting::Table options{{"weight_decay", {}, {0.5, {}}}};
    return plan_update(layout(), "sgd", registry_.find_optimizer("sgd").make(options),
                       decay_norm_and_bias, 1.5);
  }
  static std::vector<std::array<int64_t, 3>> segments(const UpdatePlan& plan) {
    std::vector<std::array<int64_t, 3>> all;
    for (const UpdateSegment& s : plan.segments) all.push_back({s.offset, s.count, s.group});
    return all;
  }
  // What one step of a group makes of w = 1 with g = 0: the decay shows.
  static float step(const UpdateGroup& group) {
    float w = 1;
    const float g = 0;
    float velocity = 0;
    float* slots[] = {&velocity};
    group.optimizer->update({.lr = 1}, &w, &g, slots, 0, 1);
    return w;
  }

 private:
  Registry registry_;
};

TEST_F(UpdateGroupsTest, AllTrainableParametersAreOneSegmentWhereAllDecay) {
  const UpdatePlan all = plan(true);
  EXPECT_EQ(all.groups.size(), 1u);
  EXPECT_EQ(segments(all), (std::vector<std::array<int64_t, 3>>{{0, 4 * 16 + 10, 0}}));
  EXPECT_EQ(all.clip_grad_norm, 1.5);
}

TEST_F(UpdateGroupsTest, BiasesAndNormsAreAGroupWithoutDecayWhereTheyAreExempt) {
  const UpdatePlan exempt = plan(false);
  ASSERT_EQ(exempt.groups.size(), 2u);
  EXPECT_EQ(segments(exempt), (std::vector<std::array<int64_t, 3>>{
                                  {0, 10, 0}, {16, 26, 1}, {48, 10, 0}, {64, 10, 1}}));
  EXPECT_FLOAT_EQ(step(exempt.groups[0]), 0.5f);
  EXPECT_FLOAT_EQ(step(exempt.groups[1]), 1.0f);
}

}  // namespace
}  // namespace lockstep
