// lockstep train RECIPE: from the command line to the trainer, on every rank alike.
#include <memory>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "plugin/registry.hpp"
#include "recipe/recipe.hpp"
#include "train/session.hpp"
#include "train/signals.hpp"
#include "train/trainer.hpp"

namespace lockstep {
namespace {

// What --resume has without a path: the newest checkpoint is meant.
constexpr const char* kNewest = "newest";

struct TrainArguments {
  std::string recipe;
  std::vector<std::string> sets;
  std::string output;
  std::string resume;
  bool quiet = false;
};

RunRequest run_request(const TrainArguments& arguments) {
  RunRequest run;
  run.recipe = arguments.recipe;
  run.output = arguments.output;
  run.resume = !arguments.resume.empty();
  if (arguments.resume != kNewest) run.resume_from = arguments.resume;
  return run;
}

int train(const TrainArguments& arguments) {
  // A signal does not end the process: the trainer sees it after a step, saves, and all leave.
  StopSignals signals;

  // Opens plugins when something names them: the model, the optimizer, the device …
  Registry registry;
  Recipe recipe =
      load_recipe_on_ranks([&] { return load_recipe(arguments.recipe, arguments.sets, registry); });

  // From here on this process is a rank among others: an error on one of them ends all.
  Session session(std::move(recipe), registry, arguments.quiet);
  std::unique_ptr<Trainer> trainer;
  return run_on_ranks(session, [&] {
    session.open(DataUse::train);  // the device and the datasets
    trainer = std::make_unique<Trainer>(
        session, TrainOptions{run_request(arguments), arguments.quiet}, signals);
    return trainer->run();  // 0, or 75 after a signal
  });
}

}  // namespace

void add_train(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = app.add_subcommand("train", "Train as a recipe describes");
  command->add_option("recipe", arguments->recipe, "The recipe, a TOML file")->required();
  command->add_option("--set", arguments->sets, "Change a key of the recipe: --set train.epochs=3")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command
      ->add_option("--output", arguments->output,
                   "The run folder; otherwise runs/RECIPE/001, 002, …")
      ->type_name("DIR");
  command->add_flag(
      "--resume{newest}", arguments->resume,
      "Go on from the newest sound checkpoint, or from the one given with --resume=PATH");
  command->add_flag("--quiet", arguments->quiet, "Print warnings and errors alone");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return train(*arguments); }; });
}

}  // namespace lockstep
