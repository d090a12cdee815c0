// LABELS: slow threads
// The recipes in recipes/transfer from a file of weights of 1,000 classes to predictions, with the
// networks they are for; the file's weights are drawn, and pictures are few and small.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;
namespace fs = std::filesystem;

class TransferRecipesTest : public test::TinyRunTest, public ::testing::WithParamInterface<int> {
 protected:
  TransferRecipesTest() {
    for (const char* name : {"ant", "bee"}) {
      for (const char* picture : {"rgb8.png", "420.jpg"}) add("photos/train", name, picture);
      add("photos/val", name, "progressive.jpg");
    }
    write_source();
    source_ = checkpoint("source");
  }

  // resnet.pth, of a network for as many classes as ImageNet has.
  void write_source() {
    for (int i = 0; i < 1000; ++i) add("thousand/train", fmt::format("{:03}", i), "420.jpg");
    add("thousand/val", "000", "420.jpg");
    const std::string crop = "[{ name = \"center_crop\", size = 32 }]\n";
    write_recipe("source.toml",
                 "[model]\nname = \"resnet\"\n[data]\nname = \"image_folder\"\n"
                 "path = \"thousand\"\ntrain_transforms = " +
                     crop + "eval_transforms = " + crop +
                     "[train]\nmax_steps = 0\nglobal_batch_size = 4\n");
    const MpiRun source = lockstep("train source.toml --output source" + depth_);
    EXPECT_EQ(source.exit_code, 0) << source.output;
    const MpiRun exported =
        lockstep("export source/checkpoints/last.h5 --format pth --output resnet.pth");
    EXPECT_EQ(exported.exit_code, 0) << exported.output;
  }

  static fs::path picture(const char* name) {
    return fs::path(LOCKSTEP_SOURCE_DIR "/tests/goldens/pictures") / name;
  }
  void add(const char* split, const std::string& name, const char* file) const {
    const fs::path folder = folder_ / split / name;
    fs::create_directories(folder);
    fs::copy_file(picture(file), folder / file);
  }

  // Two steps by the recipe at 64 pixels; what begins with one of `trained` must have moved by
  // then, and all else but the head must be as it was.
  void run(const std::string& recipe, const std::string& train_transforms,
           const std::vector<std::string>& trained) {
    const std::string small = "[{name=\"resize\",size=64},{name=\"center_crop\",size=64}]";
    const MpiRun train = lockstep(concat(
        "train " LOCKSTEP_SOURCE_DIR "/recipes/transfer/", recipe, ".toml --output ", recipe,
        depth_, " --set init.weights=resnet.pth --set data.path=photos --set train.max_steps=2",
        " --set train.global_batch_size=2 --set 'data.train_transforms=",
        train_transforms.empty() ? small : train_transforms,
        "' --set 'data.eval_transforms=", small, "'"));
    ASSERT_EQ(train.exit_code, 0) << train.output;
    EXPECT_NE(train.output.find("fc.weight (1000, "), std::string::npos)
        << "the head is replaced: " << train.output;
    EXPECT_EQ(train.output.find("features of 6 pictures") != std::string::npos, recipe == "head")
        << train.output;
    expect_moved(checkpoint(recipe), trained);
    expect_predictions(recipe);
  }

  void expect_moved(const Checkpoint& after, const std::vector<std::string>& trained) const {
    const auto expect = [&](const TensorMap& before, const TensorMap& now) {
      for (const auto& [name, tensor] : now) {
        if (name.starts_with("fc.")) continue;
        const bool moves = std::any_of(trained.begin(), trained.end(), [&](const auto& prefix) {
          return name.starts_with(prefix);
        });
        EXPECT_EQ(before.at(name).values != tensor.values, moves) << name;
      }
    };
    expect(source_.parameters, after.parameters);
    expect(source_.buffers, after.buffers);
    EXPECT_EQ(after.parameters.at("fc.bias").shape, (Shape{2}));
    EXPECT_EQ(after.classes, (std::vector<std::string>{"ant", "bee"}));
  }

  void expect_predictions(const std::string& name) const {
    const MpiRun run = shell("$L predict " + name + "/checkpoints/last.h5 photos/val --json");
    ASSERT_EQ(run.exit_code, 0) << run.output;
    const auto json = nlohmann::json::parse(run.output);
    ASSERT_EQ(json.size(), 2u);
    for (const auto& file : json) {
      const auto& guesses = file["predictions"];
      ASSERT_EQ(guesses.size(), 2u);
      EXPECT_TRUE(guesses[0]["class"] == "ant" || guesses[0]["class"] == "bee") << guesses;
      EXPECT_NEAR(guesses[0]["probability"].get<double>() + guesses[1]["probability"].get<double>(),
                  1, 1e-4);
    }
  }

  const std::string depth_ = concat(" --set model.depth=", GetParam());
  Checkpoint source_;
};

TEST_P(TransferRecipesTest, TrainWhatTheySayAndPredictItsClasses) {
  const std::string random = "[{name=\"random_resized_crop\",size=64},{name=\"horizontal_flip\"}]";
  run("head", "", {});
  run("last_stage", random, {"layer4."});
  run("whole", random, {"conv1.", "bn1.", "layer"});
}

INSTANTIATE_TEST_SUITE_P(ResNet, TransferRecipesTest, ::testing::Values(18, 34, 50),
                         [](const auto& info) { return std::to_string(info.param); });

}  // namespace
}  // namespace lockstep
