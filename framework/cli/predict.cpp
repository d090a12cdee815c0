// lockstep predict CHECKPOINT IMAGE …: what a network sees in pictures.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/draw.hpp"
#include "data/class_indices.hpp"
#include "data/picture_list.hpp"
#include "train/evaluation_details.hpp"
#include "train/evaluator.hpp"
#include "train/network.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

struct PredictArguments {
  std::vector<std::string> inputs;  // the checkpoint first, unless there are weights
  std::string weights;
  std::string model;
  std::vector<std::string> sets;
  std::string classes;  // class_indices.json
  std::string output_image;
  int64_t top = 5;
  bool json = false;
  bool csv = false;
  bool no_exif = false;
};

// Pictures for weights without a recipe: as the model's published ones were trained.
std::vector<std::string> usual_preprocessing(const std::string& model, Registry& registry) {
  if (model.empty()) return {};
  const ModelInput& usual = registry.find_model(model).usual;
  std::vector<std::string> sets{
      "data.name=image_folder",
      fmt::format(
          "data.eval_transforms=[{{name=\"resize\",size={}}},{{name=\"center_crop\",size={}}}]",
          usual.resize, usual.image[1])};
  if (usual.image[0] == 3) {
    sets.push_back(fmt::format("data.mean=[{}]", fmt::join(usual.mean, ",")));
    sets.push_back(fmt::format("data.std=[{}]", fmt::join(usual.std, ",")));
  }
  return sets;
}

bool looks_like_a_picture(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// Files as given; the pictures in a folder and below it, sorted; for "-" one file per line of
// stdin.
std::vector<std::string> expand(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    std::error_code ignored;
    if (input == "-") {
      for (std::string line; std::getline(std::cin, line);) {
        if (!line.empty()) files.push_back(line);
      }
    } else if (fs::is_directory(input, ignored)) {
      std::vector<std::string> found;
      for (const auto& entry : fs::recursive_directory_iterator(input)) {
        if (entry.is_regular_file() && looks_like_a_picture(entry.path())) {
          found.push_back(entry.path().string());
        }
      }
      std::sort(found.begin(), found.end());
      files.insert(files.end(), found.begin(), found.end());
    } else {
      files.push_back(input);
    }
  }
  if (files.empty()) {
    fail(Failure::data,
         "predict: found no picture; expected .jpg, .jpeg or .png files, or folders "
         "of them");
  }
  return files;
}

struct Guess {
  std::string name;
  int32_t index;
  float probability;
};
struct Prediction {
  std::string file;
  std::string error;  // why there are no guesses
  std::vector<Guess> guesses;
};

std::string line_of(const Guess& guess) {
  return fmt::format("{:6.2f}%  {}", 100 * guess.probability, guess.name);
}

std::string text_of(const Prediction& p) {
  std::string text = p.file + "\n";
  if (!p.error.empty()) return text + "  not predicted: " + p.error + "\n";
  for (const Guess& guess : p.guesses) text += "  " + line_of(guess) + "\n";
  return text;
}

nlohmann::ordered_json json_of(const Prediction& p) {
  nlohmann::ordered_json json{{"file", p.file}};
  if (!p.error.empty()) return json["error"] = p.error, json;
  json["predictions"] = nlohmann::ordered_json::array();
  for (const Guess& guess : p.guesses) {
    json["predictions"].push_back(
        {{"class", guess.name}, {"index", guess.index}, {"probability", guess.probability}});
  }
  return json;
}

std::string csv_of(const Prediction& p) {
  std::string text;
  for (size_t i = 0; i < p.guesses.size(); ++i) {
    const Guess& guess = p.guesses[i];
    text += fmt::format("{},{},{},{},{:.6f}\n", csv_field(p.file), i + 1, guess.index,
                        csv_field(guess.name), guess.probability);
  }
  if (!p.error.empty()) text = fmt::format("{},,,{},\n", csv_field(p.file), csv_field(p.error));
  return text;
}

void print(const std::vector<Prediction>& predictions, const PredictArguments& arguments) {
  std::string text = arguments.csv ? "file,rank,index,class,probability\n" : "";
  if (arguments.json) {
    auto json = nlohmann::ordered_json::array();
    for (const Prediction& p : predictions) json.push_back(json_of(p));
    text = json.dump(2) + "\n";
  } else {
    for (const Prediction& p : predictions) text += arguments.csv ? csv_of(p) : text_of(p);
  }
  print_out(text);
}

// The picture as it was read, upright, with its guesses below; "cat.jpg" becomes "cat.png", and a
// name that is taken gets a number.
void draw(const Prediction& prediction, const PictureList& pictures, int64_t index,
          const fs::path& folder) {
  if (prediction.guesses.empty()) return;
  Image image;
  pictures.decode(index, image);
  std::vector<std::string> lines;
  for (const Guess& guess : prediction.guesses) lines.push_back(line_of(guess));
  const std::string stem = fs::path(prediction.file).stem().string();
  fs::path path = folder / (stem + ".png");
  for (int n = 2; fs::exists(path); ++n) path = folder / fmt::format("{}-{}.png", stem, n);
  draw_labels(image, lines, path);
}

class Predictor {
 public:
  Predictor(const PredictArguments& arguments, const Weights& weights,
            std::vector<std::string> files, Session& session)
      : arguments_(arguments),
        session_(session),
        weights_(weights),
        pictures_(std::move(files), !arguments.no_exif) {
    session.open(DataUse::describe);
    pictures_.fit_to(session.data.source_image);
    names_ = class_names();
    session.data.classes = static_cast<int64_t>(names_.size());
  }

  std::vector<Prediction> run() {
    Network network(session_, request(), weights_);
    Evaluator evaluator(session_, pictures_, network.plans, network.executor, 1);
    evaluator.run(
        [this](const Batch& batch, std::span<const float> logits) { add(batch, logits); });
    return std::move(predictions_);
  }

  const PictureList& pictures() const { return pictures_; }

 private:
  PlanRequest request() const {
    return plan_request(session_.recipe, session_.data, session_.registry);
  }

  // Those of the checkpoint or of --classes; ImageNet's where there are a thousand; else numbers.
  std::vector<std::string> class_names() const {
    if (!arguments_.classes.empty()) return read_class_indices(arguments_.classes);
    if (!weights_.classes.empty()) return weights_.classes;
    return default_class_names(count_classes(weights_, request(), session_.registry.ops()));
  }

  void add(const Batch& batch, std::span<const float> logits) {
    const size_t width = names_.size();
    for (int64_t n = 0; n < batch.samples; ++n) {
      Prediction& prediction = predictions_.emplace_back();
      prediction.file = pictures_.sample_name(batch.indices[n]);
      if (batch.weights[n] == 0) {
        prediction.error = pictures_.why_unreadable(batch.indices[n]);
        continue;
      }
      const auto row = logits.subspan(static_cast<size_t>(n) * width, width);
      const std::vector<float> probabilities = softmax(row);
      for (int32_t c : ranking(row, arguments_.top)) {
        const auto number = static_cast<size_t>(c);
        prediction.guesses.push_back({names_[number], c, probabilities[number]});
      }
    }
  }

  const PredictArguments& arguments_;
  Session& session_;
  const Weights& weights_;
  PictureList pictures_;
  std::vector<std::string> names_;
  std::vector<Prediction> predictions_;
};

int predict(PredictArguments arguments) {
  if (arguments.weights.empty() && arguments.inputs.size() < 2) {
    fail(Failure::usage,
         "predict: expected a checkpoint and pictures, or --weights FILE and "
         "pictures");
  }
  if (arguments.weights.empty()) {
    arguments.weights = arguments.inputs.front();
    arguments.inputs.erase(arguments.inputs.begin());
  }
  std::vector<std::string> files = expand(arguments.inputs);
  Registry registry;
  const Weights weights = read_weights(arguments.weights);
  Recipe recipe = network_recipe(weights, arguments.model, arguments.sets,
                                 usual_preprocessing(arguments.model, registry), registry);
  recipe.communicator.name = "local";
  recipe.data.train_transforms = recipe.data.eval_transforms;
  recipe.data.on_bad_sample = "skip";
  recipe.data.max_bad_samples = static_cast<int64_t>(files.size());
  Session session(std::move(recipe), registry, true);
  Predictor predictor(arguments, weights, std::move(files), session);
  const std::vector<Prediction> predictions = predictor.run();
  print(predictions, arguments);
  if (!arguments.output_image.empty()) {
    fs::create_directories(arguments.output_image);
    for (size_t i = 0; i < predictions.size(); ++i) {
      draw(predictions[i], predictor.pictures(), static_cast<int64_t>(i), arguments.output_image);
    }
  }
  const bool all_read = std::all_of(predictions.begin(), predictions.end(),
                                    [](const Prediction& p) { return p.error.empty(); });
  return all_read ? 0 : static_cast<int>(Failure::data);
}

}  // namespace

void add_predict(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<PredictArguments>();
  CLI::App* command = app.add_subcommand("predict", "Say what a network sees in pictures");
  command
      ->add_option("inputs", arguments->inputs,
                   "A checkpoint (unless --weights), then pictures or folders; - reads names from "
                   "stdin")
      ->required()
      ->type_name("[CHECKPOINT] IMAGE|FOLDER|-");
  command->add_option("--weights", arguments->weights,
                      "Weights in a .pth, .safetensors or checkpoint file");
  command->add_option("--model", arguments->model,
                      "What the weights are for; options by --set model.depth=50");
  command->add_option("--set", arguments->sets, "Change a key of the recipe")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->add_option("--classes", arguments->classes, "The classes' names: class_indices.json");
  command->add_option("--top", arguments->top, "Guesses per picture")->check(CLI::PositiveNumber);
  command->add_option("--output-image", arguments->output_image,
                      "Write each picture with its guesses into this folder");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->add_flag("--csv", arguments->csv, "Print CSV: file, rank, index, class, probability")
      ->excludes("--json");
  command->add_flag("--no-exif", arguments->no_exif, "Do not turn pictures as their EXIF data say");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return predict(*arguments); }; });
}

}  // namespace lockstep
