#include "data/class_weights.hpp"

#include <numeric>

#include "data/subset.hpp"
#include "data/support.hpp"
#include "support/expect_error.hpp"

namespace lockstep {
namespace {

using testing::CountingDataset;

TEST(ClassWeightsTest, BalancedIsScikitLearnsFormula) {
  // compute_class_weight("balanced", classes=[0, 1, 2], y=[0] * 6 + [1] * 3 + [2]) there.
  const std::vector<int64_t> counts = {6, 3, 1};
  const std::vector<float> weights = balanced_class_weights(counts);
  ASSERT_EQ(weights.size(), 3u);
  EXPECT_FLOAT_EQ(weights[0], 0.5555556f);
  EXPECT_FLOAT_EQ(weights[1], 1.1111112f);
  EXPECT_FLOAT_EQ(weights[2], 3.3333333f);
}

TEST(ClassWeightsTest, AClassWithoutSamplesWeighsNothingAndIsNamed) {
  const CountingDataset dataset(3, 5);
  ::testing::internal::CaptureStderr();
  const std::vector<float> weights = class_weights("balanced", dataset);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("no training samples of 3 and 4"),
            std::string::npos);
  EXPECT_EQ(weights, (std::vector<float>{1, 1, 1, 0, 0}));
}

TEST(ClassWeightsTest, NoneAsksForNoLabel) {
  const CountingDataset dataset(30);
  EXPECT_TRUE(class_weights("none", dataset).empty());
  EXPECT_EQ(dataset.reads, 0);
}

TEST(ClassWeightsTest, ASubsetCountsItsOwnSamples) {
  const Subset subset(std::make_shared<CountingDataset>(100, 4), {0, 4, 8, 1, 2});
  EXPECT_EQ(class_counts(subset), (std::vector<int64_t>{3, 1, 1, 0}));
}

TEST(ClassWeightsTest, RefusesALabelThatIsNoClass) {
  CountingDataset dataset(10);
  dataset.out_of_range = 7;
  testing::expect_error([&] { class_counts(dataset); }, Failure::data,
                        "sample 7: label 10; expected 0 to 9");
}

}  // namespace
}  // namespace lockstep
