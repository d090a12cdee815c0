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
  UpdatePlan plan(const OptimizerSection& section) {
    const Setting::Table options{{"weight_decay", {}, {0.5, {}}}};
    return plan_update(layout(), section, registry_.find_optimizer("sgd").make(options), 1.5);
  }
  static OptimizerSection section(bool decay_norm_and_bias,
                                  std::vector<OptimizerGroup> groups = {}) {
    OptimizerSection section;
    section.decay_norm_and_bias = decay_norm_and_bias;
    section.groups = std::move(groups);
    return section;
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
    group.optimizer->update({.lr = 1}, {}, &w, &g, slots, 0, 1);
    return w;
  }

 private:
  Registry registry_;
};

TEST_F(UpdateGroupsTest, AllTrainableParametersAreOneSegmentWhereAllDecay) {
  const UpdatePlan all = plan(section(true));
  EXPECT_EQ(all.groups.size(), 1u);
  EXPECT_EQ(segments(all), (std::vector<std::array<int64_t, 3>>{{0, 4 * 16 + 10, 0}}));
  EXPECT_EQ(all.clip_grad_norm, 1.5);
}

TEST_F(UpdateGroupsTest, BiasesAndNormsAreAGroupWithoutDecayWhereTheyAreExempt) {
  const UpdatePlan exempt = plan(section(false));
  ASSERT_EQ(exempt.groups.size(), 2u);
  EXPECT_EQ(segments(exempt), (std::vector<std::array<int64_t, 3>>{
                                  {0, 10, 0}, {16, 26, 1}, {48, 10, 0}, {64, 10, 1}}));
  EXPECT_FLOAT_EQ(step(exempt.groups[0]), 0.5f);
  EXPECT_FLOAT_EQ(step(exempt.groups[1]), 1.0f);
}

TEST_F(UpdateGroupsTest, TheFirstGroupThatNamesAParameterHolds) {
  const UpdatePlan groups =
      plan(section(true, {{.parameters = {"conv2"}, .lr_multiplier = 2},
                          {.parameters = {"conv*"}, .weight_decay_multiplier = 0.5}}));
  ASSERT_EQ(groups.groups.size(), 3u);
  EXPECT_EQ(segments(groups),
            (std::vector<std::array<int64_t, 3>>{{0, 10, 0}, {16, 26, 1}, {48, 26, 2}}));
  EXPECT_EQ(groups.groups[0].lr_multiplier, 2);
  EXPECT_EQ(groups.groups[1].lr_multiplier, 1);
  EXPECT_FLOAT_EQ(step(groups.groups[1]), 0.5f);
  EXPECT_FLOAT_EQ(step(groups.groups[2]), 0.75f);
}

TEST_F(UpdateGroupsTest, ExemptionHoldsInsideGroupsToo) {
  const UpdatePlan groups =
      plan(section(false, {{.parameters = {"conv1"}, .weight_decay_multiplier = 0.5}}));
  EXPECT_EQ(segments(groups), (std::vector<std::array<int64_t, 3>>{
                                  {0, 10, 0}, {16, 26, 1}, {48, 10, 2}, {64, 10, 1}}));
}

}  // namespace
}  // namespace lockstep
