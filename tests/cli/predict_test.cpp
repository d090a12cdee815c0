// `predict`, and `evaluate` of weights without a recipe and with its details.
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/canvas.hpp"
#include "plugin/registry.hpp"
#include "train/tiny_run.hpp"

namespace lockstep {
namespace {

using test::MpiRun;

class PredictTest : public test::TinyRunTest {
 protected:
  PredictTest() {
    // Drawn weights tell every picture from the others.
    const MpiRun drawn = lockstep("train tiny.toml --output run --quiet --set train.max_steps=0");
    EXPECT_EQ(drawn.exit_code, 0) << drawn.output;
  }
  // A file that tests/goldens/pictures.py made.
  static std::string picture(const std::string& name) {
    return LOCKSTEP_SOURCE_DIR "/tests/goldens/pictures/" + name;
  }
  nlohmann::json predict(const std::string& arguments, int exit_code = 0) {
    const MpiRun run = shell("$L predict " + arguments + " --json 2>errors.txt");
    EXPECT_EQ(run.exit_code, exit_code) << run.output << text_of("errors.txt");
    return nlohmann::json::parse(run.output, nullptr, false);
  }
};

TEST_F(PredictTest, GivesTheLikeliestClassesOfEachPicture) {
  const auto json = predict("run/checkpoints/last.h5 " + picture("rgb8.png") + " " +
                            picture("420.jpg") + " --top 3");
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0]["file"], picture("rgb8.png"));
  ASSERT_EQ(json[0]["predictions"].size(), 3u);
  double sum = 0, last = 1;
  for (const auto& guess : json[0]["predictions"]) {
    EXPECT_LE(guess["probability"], last);
    last = guess["probability"];
    sum += last;
  }
  EXPECT_LE(sum, 1.0001);
  EXPECT_TRUE(json[0]["predictions"][0]["class"].is_string());
}

// A picture of the test set, as a file.
void write_picture(const Dataset& dataset, int64_t index, const std::filesystem::path& path) {
  Image image;
  dataset.read(index, image);
  Canvas canvas(image.width, image.height, {});
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      canvas.fill(x, y, 1, 1, {image.row(0, y)[x], image.row(1, y)[x], image.row(2, y)[x]});
    }
  }
  canvas.write_png(path);
}

TEST_F(PredictTest, SaysOfAPictureWhatEvaluateSays) {
  Registry registry;
  const auto dataset = registry.find_dataset("shapes").make({.split = Split::test, .path = ""}, {});
  ASSERT_EQ(lockstep("evaluate run/checkpoints/last.h5 --details details").exit_code, 0);
  std::istringstream mistakes(text_of("details/mistakes.csv"));
  std::string line;
  std::getline(mistakes, line);
  ASSERT_EQ(line, "sample,index,class,predicted,probability,class_probability");
  int64_t compared = 0;
  while (std::getline(mistakes, line)) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream fields(line);
    std::string sample, label, predicted;
    int64_t index = 0;
    double probability = 0;
    fields >> sample >> index >> label >> predicted >> probability;
    write_picture(*dataset, index, folder_ / "sample.png");
    const auto guess = predict("run/checkpoints/last.h5 sample.png")[0]["predictions"][0];
    EXPECT_EQ(guess["class"], predicted) << line;
    EXPECT_NEAR(guess["probability"].get<double>(), probability, 1e-5) << line;
    ++compared;
  }
  EXPECT_GE(compared, 10);
}

TEST_F(PredictTest, ABadPictureIsNamedAndTheRestGoOn) {
  std::ofstream(folder_ / "bad.jpg") << "no picture";
  const auto json =
      predict("run/checkpoints/last.h5 bad.jpg " + picture("rgb8.png") + " none.png", 3);
  ASSERT_EQ(json.size(), 3u);
  EXPECT_NE(json[0]["error"].get<std::string>().find("bad.jpg"), std::string::npos);
  EXPECT_TRUE(json[1].contains("predictions"));
  EXPECT_TRUE(json[2].contains("error"));
}

TEST_F(PredictTest, PicturesAreTurnedAsTheirExifDataSayUnlessNotAsked) {
  const auto guesses = [&](const std::string& name, const std::string& more = "") {
    return predict("run/checkpoints/last.h5 " + picture("exif/" + name) + more)[0]["predictions"];
  };
  const auto upright = guesses("ii1.jpg"), turned = guesses("ii6.jpg");
  EXPECT_NE(turned, upright) << "the same pixels, a quarter turn apart";
  EXPECT_EQ(guesses("ii6.jpg", " --no-exif"), upright);
}

TEST_F(PredictTest, FoldersAndNamesFromStandardInputAreTaken) {
  std::filesystem::create_directories(folder_ / "pictures/below");
  std::filesystem::copy(picture("rgb8.png"), folder_ / "pictures/b.PNG");
  std::filesystem::copy(picture("420.jpg"), folder_ / "pictures/below/a.jpg");
  std::ofstream(folder_ / "pictures/notes.txt") << "no picture";
  EXPECT_EQ(predict("run/checkpoints/last.h5 pictures").size(), 2u);
  const MpiRun run = shell("ls -d pictures/b.PNG | $L predict run/checkpoints/last.h5 - --csv");
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_TRUE(run.output.starts_with("file,rank,index,class,probability\npictures/b.PNG,1,"))
      << run.output;
}

TEST_F(PredictTest, DrawsThePicturesWithTheirLabels) {
  predict("run/checkpoints/last.h5 " + picture("rgb8.png") + " " + picture("rgb8.png") +
          " --output-image drawn");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "drawn/rgb8.png"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "drawn/rgb8-2.png")) << "nothing is overwritten";
}

TEST_F(PredictTest, WeightsAloneNeedTheirModelAndSayTheirClasses) {
  ASSERT_EQ(lockstep("export run/checkpoints/last.h5 --format safetensors --output w.safetensors")
                .exit_code,
            0);
  EXPECT_EQ(lockstep("predict --weights w.safetensors " + picture("rgb8.png")).exit_code, 2);
  const std::string sets =
      " --model convnet --set data.mean=[] --set data.std=[] --set "
      "'data.eval_transforms=[{name=\"resize\",size=32},{name=\"center_crop\",size=32}]' ";
  const auto json = predict("--weights w.safetensors" + sets + picture("rgb8.png"));
  EXPECT_EQ(json[0]["predictions"][0]["class"],
            std::to_string(json[0]["predictions"][0]["index"].get<int>()));
  const auto named = predict("--weights w.safetensors --classes run/class_indices.json" + sets +
                             picture("rgb8.png"));
  EXPECT_EQ(named[0]["predictions"][0]["index"], json[0]["predictions"][0]["index"]);
  EXPECT_NE(named[0]["predictions"][0]["class"], json[0]["predictions"][0]["class"]);
}

TEST_F(PredictTest, EvaluateTakesExportedWeightsAndGivesTheSame) {
  ASSERT_EQ(lockstep("export run/checkpoints/last.h5 --format pth --output w.pth").exit_code, 0);
  const MpiRun recipe = lockstep("evaluate run/checkpoints/last.h5 --json --top 3");
  const MpiRun weights = lockstep(
      "evaluate --weights w.pth --model convnet --set data.name=shapes --set data.test_size=20 "
      "--set device.name=reference --json --top 3");
  EXPECT_EQ(recipe.exit_code, 0) << recipe.output;
  EXPECT_EQ(weights.output, recipe.output);
  EXPECT_TRUE(nlohmann::json::parse(recipe.output).contains("top3"));
}

TEST_F(PredictTest, EvaluateWritesItsDetails) {
  const MpiRun run = lockstep("evaluate run/checkpoints/last.h5 --details details");
  ASSERT_EQ(run.exit_code, 0) << run.output;
  for (const char* file :
       {"per_class.csv", "confusion_matrix.csv", "confusion_matrix.png", "mistakes.csv"}) {
    EXPECT_GT(std::filesystem::file_size(folder_ / "details" / file), 20u) << file;
  }
}

}  // namespace
}  // namespace lockstep
