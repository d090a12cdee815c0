#include "train/loss_scale.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TrainSection fp16(double fixed = 0) {
  TrainSection train;
  train.precision = "fp16";
  train.loss_scale = fixed;
  return train;
}

TEST(LossScaleTest, OnlyFp16HasOne) {
  TrainSection train;
  train.loss_scale = 1024;
  EXPECT_EQ(initial_loss_scale(train), 0);
  train.precision = "bf16";
  EXPECT_EQ(initial_loss_scale(train), 0);
  EXPECT_EQ(initial_loss_scale(fp16()), 65536);
  EXPECT_EQ(initial_loss_scale(fp16(1024)), 1024);
}

// The numbers are those of torch.amp.GradScaler with its defaults.
TEST(LossScaleTest, DoublesAfter2000GoodStepsAndHalvesAtABadOne) {
  Progress progress{.loss_scale = 65536};
  for (int i = 0; i < 1999; ++i) update_loss_scale(progress, fp16(), false);
  EXPECT_EQ(progress.loss_scale, 65536);
  update_loss_scale(progress, fp16(), false);
  EXPECT_EQ(progress.loss_scale, 131072);
  EXPECT_EQ(progress.steps_at_scale, 0);

  for (int i = 0; i < 1500; ++i) update_loss_scale(progress, fp16(), false);
  update_loss_scale(progress, fp16(), true);
  EXPECT_EQ(progress.loss_scale, 65536);
  EXPECT_EQ(progress.skipped_steps, 1);
  for (int i = 0; i < 1999; ++i) update_loss_scale(progress, fp16(), false);
  EXPECT_EQ(progress.loss_scale, 65536) << "the count begins anew";
  update_loss_scale(progress, fp16(), false);
  EXPECT_EQ(progress.loss_scale, 131072);
}

TEST(LossScaleTest, AFixedOneStaysAndCountsWhatIsSkipped) {
  Progress progress{.loss_scale = 1024};
  for (int i = 0; i < 4001; ++i) update_loss_scale(progress, fp16(1024), i == 0);
  EXPECT_EQ(progress.loss_scale, 1024);
  EXPECT_EQ(progress.skipped_steps, 1);
}

TEST(LossScaleTest, StaysWithinFloat) {
  Progress progress{.loss_scale = 0x1p127, .steps_at_scale = 1999};
  update_loss_scale(progress, fp16(), false);
  EXPECT_EQ(progress.loss_scale, 0x1p127);
}

}  // namespace
}  // namespace lockstep
