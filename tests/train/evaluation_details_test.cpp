// LABELS: mpi
#include "train/evaluation_details.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "data/subset.hpp"
#include "support/mpi_run.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Samples with labels and logits over three classes; the last one is padding.
struct Samples {
  std::vector<int32_t> labels{0, 1, 2, 2, 0};
  std::vector<float> weights{1, 1, 1, 1, 0};
  std::vector<int64_t> indices{10, 11, 12, 13, 14};
  std::vector<float> logits{2, 0, 1, /**/ 5, 1, 0, /**/ 0, 1, 3, /**/ 1, 2, 0, /**/ 9, 9, 9};

  Batch batch() {
    return {.samples = 5,
            .capacity = 5,
            .labels = labels.data(),
            .weights = weights.data(),
            .indices = indices.data()};
  }
};

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Named final : public Dataset {
 public:
  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return 20; }
  int64_t read(int64_t, Image&) const override { return 0; }
  std::string sample_name(int64_t index) const override { return concat("cat, ", index, ".jpg"); }

 private:
  DatasetSpec spec_;
};

TEST(EvaluationDetailsTest, CountsWhatIsTakenForWhat) {
  Samples samples;
  EvaluationDetails details(3, 2);
  details.add(samples.batch(), samples.logits);
  EXPECT_EQ(details.count(0, 0), 1);
  EXPECT_EQ(details.count(1, 0), 1);
  EXPECT_EQ(details.count(2, 2), 1);
  EXPECT_EQ(details.count(2, 1), 1);
  EXPECT_EQ(details.samples(2), 2);
  EXPECT_EQ(details.samples(), 4) << "padding does not count";
  EXPECT_EQ(details.top_hits(), 3) << "sample 13's class is its last guess";
}

TEST(EvaluationDetailsTest, TheWorstMistakesComeFirstAndNoMoreAreKeptThanAskedFor) {
  Samples samples;
  EvaluationDetails details(3, 1, 1);
  details.add(samples.batch(), samples.logits);
  ASSERT_EQ(details.mistakes().size(), 1u);
  EXPECT_EQ(details.mistakes()[0].index, 11);
  EXPECT_EQ(details.mistakes()[0].predicted, 0);
  EXPECT_NEAR(details.mistakes()[0].label_probability,
              std::exp(1) / (std::exp(5) + std::exp(1) + 1), 1e-6);
}

TEST(EvaluationDetailsTest, RanksAddUp) {
  if (const auto run = test::on_ranks(2)) {
    EXPECT_EQ(run->exit_code, 0) << run->output;
    return;
  }
  const auto communication = test::communicate("mpi");
  Samples samples;
  EvaluationDetails details(3, 2);
  details.add(samples.batch(), samples.logits);
  details.gather(*communication);
  EXPECT_EQ(details.samples(), 8);
  EXPECT_EQ(details.count(1, 0), 2);
  EXPECT_EQ(details.top_hits(), 6);
  ASSERT_EQ(details.mistakes().size(), 4u);
  EXPECT_EQ(details.mistakes()[0].index, details.mistakes()[1].index);
}

TEST(EvaluationDetailsTest, WritesTablesThatSpreadsheetsRead) {
  Samples samples;
  EvaluationDetails details(3, 2);
  details.add(samples.batch(), samples.logits);
  const test::TemporaryFolder folder;
  const std::vector<std::string> names{"ant", "bee", "c,d"};
  details.write(folder / "details", names, Named());
  EXPECT_EQ(text_of(folder / "details/per_class.csv"),
            "class,samples,correct,accuracy,predicted,precision\n"
            "ant,1,1,1.000000,2,0.500000\n"
            "bee,1,0,0.000000,1,0.000000\n"
            "\"c,d\",2,1,0.500000,1,1.000000\n");
  EXPECT_EQ(text_of(folder / "details/confusion_matrix.csv"),
            "true \\ predicted,ant,bee,\"c,d\"\nant,1,0,0\nbee,1,0,0\n\"c,d\",0,1,1\n");
  EXPECT_THAT(text_of(folder / "details/mistakes.csv"),
              HasSubstr("\"cat, 11.jpg\",11,bee,ant,0.975"));
}

TEST(RankingTest, TiesGoToTheLowerClass) {
  EXPECT_THAT(ranking(std::vector<float>{1, 3, 3, 2}, 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(softmax(std::vector<float>{1000, 1000}), ElementsAre(0.5f, 0.5f));
}

}  // namespace
}  // namespace lockstep
