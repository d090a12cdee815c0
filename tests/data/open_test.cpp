#include "data/open.hpp"

#include <cstdlib>

#include "data/dataset_files.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep {
namespace {

using testing::expect_error;
using testing::write_file;

// Works in a folder of its own, without LOCKSTEP_DATA.
class OpenTest : public ::testing::Test {
 protected:
  OpenTest() {
    if (const char* value = std::getenv("LOCKSTEP_DATA")) data_before_ = value;
    recipe.data.name = "shapes";
    recipe.origin = "test.toml";
    std::filesystem::current_path(folder.path());
    unsetenv("LOCKSTEP_DATA");
  }
  ~OpenTest() override {
    std::filesystem::current_path(before_);
    data_before_.empty() ? unsetenv("LOCKSTEP_DATA")
                         : setenv("LOCKSTEP_DATA", data_before_.c_str(), 1);
  }
  static TransformSection crop(int64_t size) {
    return {"random_crop", {{"size", "", {size, ""}}}, "test.toml:5:3"};
  }

  std::filesystem::path before_ = std::filesystem::current_path();
  std::string data_before_;
  test::TemporaryFolder folder;
  Registry registry;
  Recipe recipe;
};

TEST_F(OpenTest, OpensAnEmbeddedDataset) {
  const OpenedData data = open_data(recipe, registry);
  EXPECT_EQ(data.train->size(), 20000);
  EXPECT_EQ(data.test->size(), 2000);
  EXPECT_EQ(data.validation, nullptr);
  EXPECT_EQ(data.image, (Shape{3, 32, 32}));
  EXPECT_EQ(data.classes, 10);
  EXPECT_EQ(data.mean, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(data.std, (std::vector<double>{1, 1, 1}));
}

TEST_F(OpenTest, SplitsOffValidation) {
  recipe.data.validation_fraction = 0.1;
  const OpenedData data = open_data(recipe, registry);
  EXPECT_EQ(data.train->size(), 18000);
  EXPECT_EQ(data.validation->size(), 2000);
  recipe.data.validation_fraction = 1e-9;
  recipe.places["data.validation_fraction"] = "test.toml:9:1";
  expect_error([&] { open_data(recipe, registry); }, Failure::usage,
               "test.toml:9:1: data.validation_fraction");
}

TEST_F(OpenTest, OpensTheTestSetAloneForEvaluation) {
  recipe.data.name = "cifar10";
  recipe.data.path = folder.path().string();
  write_file(folder / "test_batch.bin", testing::cifar_file({3}));
  const OpenedData data = open_data(recipe, registry, DataUse::evaluate);
  EXPECT_EQ(data.train, nullptr);
  EXPECT_EQ(data.test->size(), 1);
}

TEST_F(OpenTest, DescribesDataThatIsNotThere) {
  recipe.data.name = "mnist";
  recipe.data.path = "data/nowhere";
  const OpenedData data = open_data(recipe, registry, DataUse::describe);
  EXPECT_EQ(data.image, (Shape{1, 28, 28}));
  EXPECT_EQ(data.classes, 10);
  EXPECT_EQ(data.train, nullptr);
  EXPECT_EQ(data.test, nullptr);
}

TEST_F(OpenTest, FollowsTheImageThroughTheTransforms) {
  recipe.data.train_transforms = {crop(24), {"horizontal_flip", {}, "test.toml:6:3"}};
  recipe.data.eval_transforms = {crop(24)};
  const OpenedData data = open_data(recipe, registry);
  EXPECT_EQ(data.image, (Shape{3, 24, 24}));
  EXPECT_EQ(data.train_transforms.size(), 2u);
  EXPECT_EQ(data.eval_transforms.size(), 1u);
}

TEST_F(OpenTest, NamesTheTransformThatDoesNotFit) {
  recipe.data.train_transforms = {crop(33)};
  expect_error([&] { open_data(recipe, registry); }, Failure::usage,
               "test.toml:5:3: random_crop: the picture is 32 x 32");
}

TEST_F(OpenTest, RefusesDifferentShapesInTrainingAndEvaluation) {
  recipe.data.train_transforms = {crop(24)};
  expect_error([&] { open_data(recipe, registry); }, Failure::usage,
               "pictures are (3, 32, 32) in evaluation, but (3, 24, 24) in training");
}

TEST_F(OpenTest, RefusesAMeanOfAnotherLength) {
  recipe.data.mean = {0.5};
  recipe.places["data.mean"] = "test.toml:7:1";
  expect_error([&] { open_data(recipe, registry); }, Failure::usage,
               "test.toml:7:1: data.mean has 1 numbers; expected 3, one per channel");
  recipe.data.mean = {0.5, 0.5, 0.5};
  recipe.data.std = {1, 1, 1, 1};
  expect_error([&] { open_data(recipe, registry); }, Failure::usage,
               "data.std has 4 numbers; expected 3");
}

TEST_F(OpenTest, RefusesAnEmptySet) {
  recipe.data.options = {{"train_size", "", {int64_t{0}, ""}}};
  expect_error([&] { open_data(recipe, registry); }, Failure::data,
               "shapes: the training set is empty");
  recipe.data.options = {{"test_size", "", {int64_t{0}, ""}}};
  expect_error([&] { open_data(recipe, registry); }, Failure::data,
               "shapes: the test set is empty");
}

TEST_F(OpenTest, TakesAnAbsolutePathAsItIs) {
  EXPECT_EQ(resolve_data_path(folder.path().string()), folder.path().string());
  EXPECT_EQ(resolve_data_path(""), "");
  expect_error([] { resolve_data_path("/no/such/folder"); }, Failure::data,
               "/no/such/folder does not exist");
}

TEST_F(OpenTest, TriesTheWorkingDirectoryFirst) {
  std::filesystem::create_directories(folder / "data/set");
  std::filesystem::create_directories(folder / "other/set");
  setenv("LOCKSTEP_DATA", (folder / "other").c_str(), 1);
  EXPECT_EQ(resolve_data_path("data/set"), "data/set");
}

TEST_F(OpenTest, TriesTheDataFolderWithoutALeadingData) {
  std::filesystem::create_directories(folder / "other/set");
  setenv("LOCKSTEP_DATA", (folder / "other").c_str(), 1);
  EXPECT_EQ(resolve_data_path("data/set"), (folder / "other/set").string());
  EXPECT_EQ(resolve_data_path("set"), (folder / "other/set").string());
}

TEST_F(OpenTest, NamesBothPlacesWhereNothingWasFound) {
  const std::string here = (folder / "data/set").string();
  expect_error([] { resolve_data_path("data/set"); }, Failure::data,
               "found neither " + here + " nor $LOCKSTEP_DATA/set (LOCKSTEP_DATA is not set)");
  setenv("LOCKSTEP_DATA", "/elsewhere", 1);
  expect_error(
      [] { resolve_data_path("data/set"); }, Failure::data,
      "found neither " + here + " nor /elsewhere/set; expected what it names; set data.path");
}

}  // namespace
}  // namespace lockstep
