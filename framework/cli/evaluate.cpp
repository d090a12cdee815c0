// lockstep evaluate CHECKPOINT: loss and accuracy on the test set, by the recipe inside the
// checkpoint; or of --weights FILE --model NAME.
#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/draw.hpp"
#include "train/evaluation_details.hpp"
#include "train/evaluator.hpp"
#include "train/network.hpp"

namespace lockstep {
namespace {

struct EvaluateArguments {
  std::string checkpoint;
  std::string weights;
  std::string model;
  std::vector<std::string> sets;
  std::string details;  // a folder; empty: none
  int64_t top = 5;
  bool json = false;
};

// The samples of a training batch on each rank: evaluation takes batches about as large.
int64_t training_batch(const Session& session) {
  const TrainSection& train = session.recipe.train;
  const int64_t shards = session.communication->world_size() * train.gradient_accumulation;
  return (train.global_batch_size + shards - 1) / shards;
}

void print_result(const Evaluation& result, const EvaluationDetails& details, bool as_json) {
  const double top = static_cast<double>(details.top_hits()) /
                     static_cast<double>(std::max<int64_t>(details.samples(), 1));
  const bool other_top = details.top() != 5 && details.top() != 1;
  const std::string key = fmt::format("top{}", details.top());
  if (as_json) {
    nlohmann::ordered_json json{
        {"loss", result.loss}, {"top1", result.top1}, {"top5", result.top5}};
    if (other_top) json[key] = top;
    json["samples"] = result.samples;
    print_out(json.dump() + "\n");
  } else {
    print_out(fmt::format("loss {:.4f}  top1 {:.2f}%  top5 {:.2f}%{}  {} samples  {}\n",
                          result.loss, 100 * result.top1, 100 * result.top5,
                          other_top ? fmt::format("  {} {:.2f}%", key, 100 * top) : "",
                          count_text(result.samples), duration_text(result.seconds)));
  }
}

void write_details(const EvaluationDetails& details, const std::filesystem::path& folder,
                   const OpenedData& data) {
  details.write(folder, data.class_names, *data.test);
  draw_confusion_matrix(details.counts(), data.class_names, folder / "confusion_matrix.png");
  log::info("per_class.csv, confusion_matrix.csv and .png, and mistakes.csv are in " +
            folder.string());
}

int evaluate(const EvaluateArguments& arguments) {
  if (arguments.checkpoint.empty() == arguments.weights.empty()) {
    fail(Failure::usage, "evaluate: expected either a checkpoint or --weights FILE");
  }
  Registry registry;
  Weights weights;
  Recipe recipe = load_recipe_on_ranks([&] {
    weights = read_weights(arguments.weights.empty() ? arguments.checkpoint : arguments.weights);
    return network_recipe(weights, arguments.model, arguments.sets, {}, registry);
  });
  Session session(std::move(recipe), registry, arguments.json);
  return run_on_ranks(session, [&] {
    session.open(DataUse::evaluate);
    require_same_classes(session.data, weights.classes, weights.origin);
    Network network(session, plan_request(session.recipe, session.data, registry), weights);
    Evaluator evaluator(session, *session.data.test, network.plans, network.executor,
                        training_batch(session));
    EvaluationDetails details(session.data.classes, arguments.top);
    const Evaluation result = evaluator.run(
        [&](const Batch& batch, std::span<const float> logits) { details.add(batch, logits); });
    details.gather(*session.communication);
    if (session.is_first()) {
      print_result(result, details, arguments.json);
      if (!arguments.details.empty()) write_details(details, arguments.details, session.data);
    }
    return 0;
  });
}

}  // namespace

void add_evaluate(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* command = app.add_subcommand("evaluate", "Measure a checkpoint on the test set");
  command->add_option("checkpoint", arguments->checkpoint,
                      "A checkpoint, such as RUN/checkpoints/best.h5");
  command->add_option("--weights", arguments->weights,
                      "In its place: weights in a .pth, .safetensors or checkpoint file");
  command->add_option("--model", arguments->model,
                      "What the weights are for; options by --set model.depth=50");
  command->add_option("--set", arguments->sets, "Change a key of its recipe: --set data.path=…")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->add_option("--top", arguments->top, "Count hits among so many first guesses, too")
      ->check(CLI::PositiveNumber);
  command->add_option("--details", arguments->details,
                      "Write accuracy by class, the confusion matrix and the worst mistakes here");
  command->add_flag("--json", arguments->json, "Print JSON: loss, top1, top5, samples");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return evaluate(*arguments); }; });
}

}  // namespace lockstep
