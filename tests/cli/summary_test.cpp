// LABELS: unit threads
// lockstep summary: layers, parameters, multiply-adds and memory of models, recipes and
// checkpoints.
#include <nlohmann/json.hpp>

#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;

class SummaryTest : public test::TinyRunTest {
 protected:
  nlohmann::json summary(const std::string& arguments) const {
    const MpiRun run = lockstep("summary --json " + arguments);
    if (run.exit_code != 0) throw std::runtime_error(arguments + ":\n" + run.output);
    return nlohmann::json::parse(run.output);
  }
};

// Parameters as torchvision's documentation has them, multiply-adds as its table of operations, in
// thousand millions, which rounds to three places. A batch of one, for it is prepared faster.
TEST_F(SummaryTest, CountsAsThePapers) {
  struct Expected {
    const char* arguments;
    int64_t parameters, training_parameters;
    double multiply_adds;
  };
  for (const Expected& e : {
           Expected{"alexnet", 61'100'840, 61'100'840, 0.714},
           {"vgg --set model.depth=16", 138'357'544, 138'357'544, 15.470},
           {"googlenet", 6'624'904, 13'004'888, 1.498},
           {"inception_v3", 23'834'568, 27'161'264, 5.713},
           {"resnet --set model.depth=18", 11'689'512, 11'689'512, 1.814},
           {"resnet --set model.depth=50", 25'557'032, 25'557'032, 4.089},
           {"resnet --set model.groups=32 --set model.width_per_group=4", 25'028'904, 25'028'904,
            4.230},
       }) {
    SCOPED_TRACE(e.arguments);
    const nlohmann::json json = summary(concat(e.arguments, " --batch 1"));
    EXPECT_EQ(json["parameters"], e.parameters);
    EXPECT_EQ(json["training_parameters"], e.training_parameters);
    EXPECT_NEAR(json["multiply_adds"].get<double>() / 1e9, e.multiply_adds, 0.001);
    EXPECT_EQ(json["layers"].back()["output"], (std::vector<int64_t>{1, 1000}));
  }
}

TEST_F(SummaryTest, KnowsTheUsualImagesOfAModel) {
  const nlohmann::json json = summary("lenet5");
  EXPECT_EQ(json["parameters"], 61'706);
  EXPECT_EQ(json["layers"].back()["output"], (std::vector<int64_t>{1, 10}));
}

TEST_F(SummaryTest, TellsTheActivationsOfABatch) {
  const auto bytes = [&](const std::string& arguments, const char* mode) {
    return summary(arguments)["activation_bytes"][mode].get<int64_t>();
  };
  const std::string model = "cifar_resnet ";
  EXPECT_EQ(summary(model)["batch_size"], 32);
  EXPECT_EQ(summary("tiny.toml")["batch_size"], 8);
  const int64_t training = bytes(model + "--batch 8", "training");
  // What backward needs: the outputs of 19 convolutions in three stages, at the least.
  EXPECT_GT(training, 8 * 4 * 6 * (16 * 32 * 32 + 32 * 16 * 16 + 64 * 8 * 8));
  EXPECT_NEAR(static_cast<double>(bytes(model + "--batch 16", "training")) / training, 2, 0.05);
  EXPECT_LT(bytes(model + "--batch 8", "evaluation"), training / 3);
  const MpiRun text = lockstep("summary googlenet --batch 2 --image 3x64x64");
  EXPECT_NE(text.output.find("to evaluate a batch of 2"), std::string::npos) << text.output;
  EXPECT_NE(text.output.find("13,004,888 with the auxiliary heads"), std::string::npos)
      << text.output;
}

TEST_F(SummaryTest, SaysHowLargeImagesMustBe) {
  const MpiRun run = lockstep("summary inception_v3 --image 3x224x224");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.output.find("at least 299 x 299"), std::string::npos) << run.output;
}

TEST_F(SummaryTest, ListsLayersOfAModelARecipeAndACheckpoint) {
  ASSERT_EQ(lockstep("train tiny.toml --set train.max_steps=0 --output run").exit_code, 0);
  for (const char* what :
       {"convnet --image 3x32x32 --classes 10", "tiny.toml", "run/checkpoints/last.h5"}) {
    const MpiRun run = lockstep(concat("summary ", what));
    ASSERT_EQ(run.exit_code, 0) << what << "\n" << run.output;
    EXPECT_NE(run.output.find("conv1"), std::string::npos) << run.output;
    EXPECT_NE(run.output.find("(1, 10)"), std::string::npos) << run.output;
  }
}

TEST_F(SummaryTest, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(lockstep("summary nothing").exit_code, 2);
  EXPECT_EQ(lockstep("summary convnet --image 3x32").exit_code, 2);
  EXPECT_EQ(lockstep("summary convnet --image 3x32x32x").exit_code, 2);
  EXPECT_EQ(lockstep("summary convnet --set train.epochs=1").exit_code, 2);
  EXPECT_EQ(lockstep("summary convnet --classes 0").exit_code, 2);
  EXPECT_EQ(lockstep("summary convnet --batch 0").exit_code, 2);
}

}  // namespace
}  // namespace lockstep
