#include "data/subset.hpp"

#include <algorithm>

#include "data/support.hpp"
#include "support/expect_error.hpp"

namespace lockstep {
namespace {

using testing::expect_error;

TEST(ValidationSplitTest, IsDisjointAndCoversAll) {
  const ValidationSplit split = split_validation(1000, 0.1, 5);
  EXPECT_EQ(split.validation.size(), 100u);
  EXPECT_EQ(split.train.size(), 900u);
  std::vector<int64_t> all = split.train;
  all.insert(all.end(), split.validation.begin(), split.validation.end());
  std::sort(all.begin(), all.end());
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(all[static_cast<size_t>(i)], i);
}

TEST(ValidationSplitTest, KeepsFileOrderInBothParts) {
  const ValidationSplit split = split_validation(1000, 0.25, 5);
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  EXPECT_TRUE(std::is_sorted(split.validation.begin(), split.validation.end()));
}

TEST(ValidationSplitTest, IsFixedByTheSeed) {
  EXPECT_EQ(split_validation(1000, 0.1, 5).validation, split_validation(1000, 0.1, 5).validation);
  EXPECT_NE(split_validation(1000, 0.1, 5).validation, split_validation(1000, 0.1, 6).validation);
}

TEST(ValidationSplitTest, LeavesAllForTrainingAtZero) {
  const ValidationSplit split = split_validation(10, 0, 5);
  EXPECT_EQ(split.train.size(), 10u);
  EXPECT_TRUE(split.validation.empty());
}

TEST(ValidationSplitTest, RefusesAnEmptyPart) {
  expect_error([] { split_validation(10, 0.01, 5); }, Failure::usage,
               "0.01 of 10 training samples is 0");
  expect_error([] { split_validation(10, 0.99, 5); }, Failure::usage,
               "0.99 of 10 training samples is 10");
  expect_error([] { split_validation(1, 0.5, 5); }, Failure::usage,
               "0.5 of 1 training samples is 1");
}

TEST(SubsetTest, ReadsTheChosenSamples) {
  const Subset subset(std::make_shared<testing::CountingDataset>(100), {42, 17});
  EXPECT_EQ(subset.size(), 2);
  EXPECT_EQ(subset.spec().classes, 10);
  Image image;
  EXPECT_EQ(subset.read(0, image), 2);
  EXPECT_EQ(image.data()[0], 42);
  EXPECT_EQ(subset.read(1, image), 7);
  EXPECT_EQ(image.data()[3], 17);
}

}  // namespace
}  // namespace lockstep
