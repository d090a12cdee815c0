#include "runtime/executor.hpp"

#include <gtest/gtest.h>

#include "support/training_rig.hpp"

namespace lockstep::testing {
namespace {

class ExecutorTest : public ::testing::TestWithParam<const char*> {
 protected:
  HostSamples samples_ = HostSamples::make(12, {3, 8, 8}, 4);
};

TEST_P(ExecutorTest, TrainingLowersTheLoss) {
  TrainingRig rig(GetParam(), residual_request());
  const double first = rig.step(samples_, 12, 0.05f);
  EXPECT_NEAR(first, std::log(4.0), 1.0);
  double last = first;
  for (int i = 0; i < 20; ++i) last = rig.step(samples_, 12, 0.05f);
  EXPECT_LT(last, 0.5 * first);
}

TEST_P(ExecutorTest, TheSameStepsGiveTheSameBits) {
  TrainingRig a(GetParam(), residual_request()), b(GetParam(), residual_request());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(a.step(samples_, 12, 0.05f), b.step(samples_, 12, 0.05f));
  EXPECT_EQ(a.parameter("conv1.weight"), b.parameter("conv1.weight"));
}

// Without batch norm a step over shards is the step over the whole, in another order of summation.
PlanRequest plain_request() {
  PlanRequest request = residual_request();
  request.model = [](Scope s, Value x) -> ModelOutput {
    x = nn::tanh(nn::conv2d(s / "conv", x, {.out = 8, .kernel = 3, .padding = 1, .bias = true}));
    return nn::linear(s / "fc", nn::global_avg_pool(x), {.out = 4});
  };
  return request;
}

TEST_P(ExecutorTest, ShardsOfAnyNumberEqualTheWholeBatch) {
  TrainingRig whole(GetParam(), plain_request());
  const double loss = whole.step(samples_, 11, 0.1f);
  for (int64_t shards : {2, 3, 4, 5, 11, 12}) {  // 12: one of them empty
    TrainingRig parts(GetParam(), plain_request(), shards);
    EXPECT_NEAR(parts.step(samples_, 11, 0.1f), loss, 1e-6) << shards;
    EXPECT_LT(relative_difference(parts.gradient("conv.weight"), whole.gradient("conv.weight")),
              1e-5)
        << shards;
    EXPECT_LT(relative_difference(parts.parameter("fc.bias"), whole.parameter("fc.bias")), 1e-6)
        << shards;
  }
}

TEST_P(ExecutorTest, RunningStatisticsAreTheWeightedMeanOfShards) {
  TrainingRig parts(GetParam(), residual_request(), 2);
  parts.step(samples_, 11, 0.1f);  // shards of 5 and 6
  TrainingRig five(GetParam(), residual_request()), six(GetParam(), residual_request());
  five.step(samples_, 5, 0.1f);
  HostSamples rest = samples_;
  rest.images.erase(rest.images.begin(), rest.images.begin() + 5 * rest.image.numel());
  rest.labels.erase(rest.labels.begin(), rest.labels.begin() + 5);
  six.step(rest, 6, 0.1f);
  for (const char* name : {"bn1.running_mean", "bn1.running_var"}) {
    const auto a = five.buffer(name), b = six.buffer(name), mean = parts.buffer(name);
    for (size_t i = 0; i < mean.size(); ++i) {
      EXPECT_NEAR(mean[i], (5 * a[i] + 6 * b[i]) / 11, 1e-5) << name;
    }
  }
}

TEST_P(ExecutorTest, ClippingBoundsTheGradientsNorm) {
  TrainingRig free(GetParam(), plain_request()), clipped(GetParam(), plain_request(), 1, 1e-3);
  const auto before = free.parameter("fc.weight");
  free.step(samples_, 12, 1.0f);
  clipped.step(samples_, 12, 1.0f);
  double squared = 0;
  for (const char* name : {"conv.weight", "conv.bias", "fc.weight", "fc.bias"}) {
    TrainingRig start(GetParam(), plain_request());
    const auto a = start.parameter(name), b = clipped.parameter(name);
    for (size_t i = 0; i < a.size(); ++i) squared += std::pow(static_cast<double>(a[i]) - b[i], 2);
  }
  EXPECT_NEAR(std::sqrt(squared), 1e-3, 1e-5);
  EXPECT_GT(relative_difference(free.parameter("fc.weight"), before), 1e-3);
}

// Counts how often a kernel's constants are made.
class CountingKernel final : public Kernel {
 public:
  CountingKernel(std::unique_ptr<Kernel> kernel, int& count)
      : kernel_(std::move(kernel)), count_(count) {}
  void launch(const KernelArguments& arguments) override { kernel_->launch(arguments); }
  int64_t workspace_bytes() const override { return kernel_->workspace_bytes(); }
  int64_t constant_bytes() const override { return kernel_->constant_bytes(); }
  void update_constants(const KernelArguments& arguments) override {
    ++count_;
    kernel_->update_constants(arguments);
  }

 private:
  std::unique_ptr<Kernel> kernel_;
  int& count_;
};

TEST(ExecutorConstantsTest, WeightsArePackedOnceForManyEvaluationsAndAgainAfterAChange) {
  TrainingRig rig("cpu", residual_request());
  HostSamples samples = HostSamples::make(12, {3, 8, 8}, 4);
  Plan& plan = rig.plan(12, Mode::evaluation);
  int count = 0;
  int packed = 0;
  for (Launch& launch : plan.launches) {
    if (launch.kernel->constant_bytes() > 0) ++packed;
    launch.kernel = std::make_unique<CountingKernel>(std::move(launch.kernel), count);
  }
  EXPECT_EQ(packed, 3) << "two convolutions and the classifier";
  for (int i = 0; i < 3; ++i) rig.logits(samples, 12);
  EXPECT_EQ(count, packed);
  rig.step(samples, 12, 0.05f);
  EXPECT_EQ(count, packed) << "training packs nothing";
  for (int i = 0; i < 3; ++i) rig.logits(samples, 12);
  EXPECT_EQ(count, 2 * packed);
  rig.set_parameter("fc.bias", {1, 2, 3, 4});
  rig.logits(samples, 12);
  EXPECT_EQ(count, 3 * packed);
}

// Parameters and running statistics of one rig in another.
void copy_state(const TrainingRig& from, TrainingRig& to) {
  for (const ParameterSlot& slot : from.state.layout.parameters) {
    to.set_parameter(slot.name, from.parameter(slot.name));
  }
  for (const BufferSlot& slot : from.state.layout.buffers) {
    to.state.write(to.state.buffers, slot.offset, from.buffer(slot.name));
  }
}

TEST(ExecutorConstantsTest, EvaluationFollowsTheWeights) {
  TrainingRig rig("cpu", residual_request());
  HostSamples samples = HostSamples::make(12, {3, 8, 8}, 4);
  std::vector<float> before;
  for (int i = 0; i < 3; ++i) {
    const std::vector<float> logits = rig.logits(samples, 12);
    TrainingRig reference("reference", residual_request());
    copy_state(rig, reference);
    EXPECT_LT(relative_difference(logits, reference.logits(samples, 12)), 1e-5) << i;
    if (i > 0) {
      EXPECT_GT(relative_difference(logits, before), 1e-2) << i;
    }
    before = logits;
    rig.step(samples, 12, 0.05f);
  }
}

TEST(ExecutorConstantsTest, PlansOfOtherSizesDoNotDisturbWhatAPlanKeeps) {
  TrainingRig rig("cpu", residual_request());
  HostSamples samples = HostSamples::make(12, {3, 8, 8}, 4);
  const std::vector<float> alone = rig.logits(samples, 5);
  rig.logits(samples, 12);
  EXPECT_EQ(rig.logits(samples, 5), alone);
}

INSTANTIATE_TEST_SUITE_P(Devices, ExecutorTest, ::testing::Values("reference", "cpu"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lockstep::testing
