// Steps with mixed precision on one rank: what they compute, and what an overflow does.
#include <gtest/gtest.h>

#include "ops/attributes.hpp"
#include "support/training_rig.hpp"
#include "train/loss_scale.hpp"

namespace lockstep::testing {
namespace {

PlanRequest in_precision(DType type) {
  PlanRequest request = residual_request();
  request.precision = type;
  return request;
}

class PrecisionTest : public ::testing::Test {
 protected:
  HostSamples samples_ = HostSamples::make(12, {3, 8, 8}, 4);
};

constexpr const char* kParameters[] = {"conv1.weight", "bn1.weight", "bn1.bias",  "conv2.weight",
                                       "bn2.weight",   "bn2.bias",   "fc.weight", "fc.bias"};

// Rounding errors of a half type are 2^-9 (bf16) and 2^-11 (f16) of each value; through the two
// layers of this network, forward and back, a few of them add up.
TEST_F(PrecisionTest, GradientsAreThoseOfFloatWithinTheTypesPrecision) {
  TrainingRig floats("reference", in_precision(DType::f32));
  const double loss = floats.step(samples_, 12, 0.05f);
  for (const auto& [type, unit] :
       {std::pair(DType::bf16, 0x1p-9), std::pair(DType::f16, 0x1p-11)}) {
    TrainingRig halves("reference", in_precision(type));
    EXPECT_NEAR(halves.step(samples_, 12, 0.05f), loss, 8 * unit);
    for (const char* name : {"conv1.weight", "conv2.weight", "fc.weight", "fc.bias"}) {
      const double distance = relative_difference(halves.gradient(name), floats.gradient(name));
      EXPECT_LT(distance, 16 * unit) << lockstep::name(type) << ' ' << name;
      EXPECT_GT(distance, 0) << "nothing was rounded: " << name;
    }
  }
}

TEST_F(PrecisionTest, TrainingInHalfLowersTheLoss) {
  for (DType type : {DType::bf16, DType::f16}) {
    TrainingRig rig("reference", in_precision(type));
    if (type == DType::f16) rig.loss_scale = 1024;
    const double first = rig.step(samples_, 12, 0.05f);
    double last = first;
    for (int i = 0; i < 20; ++i) last = rig.step(samples_, 12, 0.05f);
    EXPECT_LT(last, 0.5 * first) << name(type);
  }
}

TEST_F(PrecisionTest, ShardsInHalfEqualTheWholeBatchWithinItsPrecision) {
  PlanRequest request = in_precision(DType::bf16);
  request.model = [](Scope s, Value x) -> ModelOutput {
    x = nn::tanh(nn::conv2d(s / "conv", x, {.out = 8, .kernel = 3, .padding = 1, .bias = true}));
    return nn::linear(s / "fc", nn::global_avg_pool(x), {.out = 4});
  };
  TrainingRig whole("reference", request);
  whole.step(samples_, 11, 0.1f);
  for (int64_t shards : {2, 12}) {
    TrainingRig parts("reference", request, shards);
    parts.step(samples_, 11, 0.1f);
    for (const char* name : {"conv.weight", "conv.bias", "fc.weight"}) {
      EXPECT_LT(relative_difference(parts.gradient(name), whole.gradient(name)), 0x1p-6) << name;
    }
  }
}

// A power of two changes exponents alone, so in float32 a scale leaves no trace.
TEST_F(PrecisionTest, AScaleIsTakenBackBeforeClippingAndUpdate) {
  for (double clip : {0.0, 0.01}) {
    TrainingRig plain("reference", in_precision(DType::f32), 2, clip);
    TrainingRig scaled("reference", in_precision(DType::f32), 2, clip);
    scaled.loss_scale = 4096;
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(plain.step(samples_, 12, 0.05f), scaled.step(samples_, 12, 0.05f));
    }
    for (const char* name : kParameters) EXPECT_EQ(plain.parameter(name), scaled.parameter(name));
  }
}

// The largest power of two whose gradients are finite in the first step.
double largest_scale(HostSamples& samples) {
  double scale = 1;
  for (;; scale *= 2) {
    TrainingRig rig("reference", in_precision(DType::f16));
    rig.loss_scale = 2 * scale;
    rig.step(samples, 12, 0.05f);
    if (rig.executor_.skipped_update()) return scale;
  }
}

TEST_F(PrecisionTest, AnOverflowSkipsExactlyOneStep) {
  const double fits = largest_scale(samples_);
  EXPECT_GT(fits, 64);
  TrainSection train;
  train.precision = "fp16";
  Progress progress{.loss_scale = 2 * fits};
  TrainingRig rig("reference", in_precision(DType::f16));
  TrainingRig fitting("reference", in_precision(DType::f16));
  fitting.loss_scale = fits;

  rig.loss_scale = progress.loss_scale;
  std::vector<std::vector<float>> before;
  for (const char* name : kParameters) before.push_back(rig.parameter(name));
  const std::vector<float> moments = rig.buffer("bn1.running_var");
  rig.step(samples_, 12, 0.05f);
  EXPECT_TRUE(rig.executor_.skipped_update());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(rig.parameter(kParameters[i]), before[i]);
  EXPECT_NE(rig.buffer("bn1.running_var"), moments) << "the forward pass was sound";
  update_loss_scale(progress, train, rig.executor_.skipped_update());
  EXPECT_EQ(progress.loss_scale, fits);

  rig.loss_scale = progress.loss_scale;
  rig.step(samples_, 12, 0.05f);
  fitting.step(samples_, 12, 0.05f);
  EXPECT_FALSE(rig.executor_.skipped_update());
  update_loss_scale(progress, train, false);
  EXPECT_EQ(progress.skipped_steps, 1);
  for (const char* name : kParameters) {
    EXPECT_EQ(rig.parameter(name), fitting.parameter(name))
        << "the step after it is as if there had been none";
  }
}

TEST_F(PrecisionTest, WithoutAScaleNothingIsSkipped) {
  TrainingRig rig("reference", in_precision(DType::f32));
  rig.step(samples_, 12, 0.05f);
  EXPECT_FALSE(rig.executor_.skipped_update());
}

}  // namespace
}  // namespace lockstep::testing
