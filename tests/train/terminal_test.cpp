#include "train/terminal.hpp"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

const Record kStep{.event = Record::step,
                   .epoch_number = 2,
                   .step_number = 511,
                   .loss = 1.23456,
                   .top1 = 0.551,
                   .lr = 0.1,
                   .images_per_second = 1234.4};
const Place kPlace{.epochs = 10, .step_in_epoch = 120, .steps_in_epoch = 391};

TEST(ProgressBarTest, ShowsPlaceMetricsRateAndTimeLeft) {
  const std::string bar = progress_bar(kStep, kPlace, 125, 120);
  EXPECT_EQ(bar,
            "epoch 2/10 [=========>                    ] 120/391  loss 1.2346  top1 55.1%  "
            "1234 images/s  2:05 left");
}

TEST(ProgressBarTest, NeverIsWiderThanTheTerminal) {
  for (int width = 1; width <= 200; ++width) {
    EXPECT_LE(progress_bar(kStep, kPlace, 5, width).size(), static_cast<size_t>(width));
  }
}

TEST(ProgressBarTest, IsFullAtTheLastStep) {
  const Place last{.epochs = 10, .step_in_epoch = 391, .steps_in_epoch = 391};
  const std::string bar = progress_bar(kStep, last, 0, 120);
  EXPECT_NE(bar.find("[==============================]"), std::string::npos) << bar;
}

TEST(TerminalTest, LinesSayWhatHappened) {
  EXPECT_EQ(step_line(kStep, kPlace),
            "epoch 2/10 step 511  loss 1.2346  top1 55.1%  lr 0.1  1234 images/s");
  EXPECT_EQ(step_line(kStep, {.epochs = 0}).substr(0, 12), "epoch 2 step")
      << "the number of epochs is not known";
  EXPECT_EQ(evaluation_line({.event = Record::evaluation,
                             .loss = 0.4321,
                             .top1 = 0.86123,
                             .top5 = 0.991,
                             .samples = 10000,
                             .seconds = 1.25,
                             .split = "test"})
                .substr(0, 59),
            "test: loss 0.4321  top1 86.12%  top5 99.10%  10,000 samples");
}

TEST(TerminalTest, TellsOfSkippedStepsWhereThereAreAny) {
  Record step = kStep;
  step.loss_scale = 65536;
  step.skipped_steps = 0;
  EXPECT_EQ(step_line(step, kPlace), step_line(kStep, kPlace));
  step.loss_scale = 8192;
  step.skipped_steps = 3;
  EXPECT_EQ(step_line(step, kPlace),
            step_line(kStep, kPlace) + "  3 steps skipped, loss scale 8192");
}

TEST(TerminalTest, PrintsNothingOfStepsWhenQuiet) {
  ::testing::internal::CaptureStdout();
  Terminal(true).on_step(kStep, kPlace, true);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
}

TEST(TerminalTest, PrintsPlainLinesOfLoggedStepsWhereThereIsNoTerminal) {
  ::testing::internal::CaptureStdout();
  Terminal terminal(false);
  terminal.on_step(kStep, kPlace, false);
  terminal.on_step(kStep, kPlace, true);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), step_line(kStep, kPlace) + "\n");
}

}  // namespace
}  // namespace lockstep
