// lockstep evaluate CHECKPOINT: loss and accuracy on the test set, by the recipe inside the
// checkpoint.
#include <fmt/format.h>

#include "base/text.hpp"
#include "checkpoint/checkpoint.hpp"
#include "cli/command.hpp"
#include "recipe/recipe.hpp"
#include "train/evaluator.hpp"
#include "train/session.hpp"
#include "train/snapshot.hpp"

namespace lockstep {
namespace {

struct EvaluateArguments {
  std::string checkpoint;
  std::vector<std::string> sets;
  bool json = false;
};

Recipe recipe_of_checkpoint(const EvaluateArguments& arguments, Registry& registry) {
  const Checkpoint header = load_checkpoint_header(arguments.checkpoint);
  return parse_recipe(header.recipe, arguments.checkpoint + ":/recipe", arguments.sets, registry);
}

// The samples of a training batch on each rank: evaluation takes batches about as large.
int64_t training_batch(const Session& session) {
  const TrainSection& train = session.recipe.train;
  const int64_t shards = session.communication->world_size() * train.gradient_accumulation;
  return (train.global_batch_size + shards - 1) / shards;
}

void require_same_classes(const Checkpoint& checkpoint, const OpenedData& data) {
  if (checkpoint.classes.empty() || checkpoint.classes == data.class_names) return;
  fail(Failure::data, "evaluate: the classes of the dataset are not those of the checkpoint (",
       data.class_names.size(), " and ", checkpoint.classes.size(),
       " of them, or other names or order); evaluate on the dataset it was trained for");
}

void print_result(const Evaluation& result, bool as_json) {
  if (as_json) {
    const nlohmann::ordered_json json{{"loss", result.loss},
                                      {"top1", result.top1},
                                      {"top5", result.top5},
                                      {"samples", result.samples}};
    print_out(json.dump() + "\n");
  } else {
    print_out(fmt::format("loss {:.4f}  top1 {:.2f}%  top5 {:.2f}%  {} samples  {}\n", result.loss,
                          100 * result.top1, 100 * result.top5, count_text(result.samples),
                          duration_text(result.seconds)));
  }
}

int evaluate(const EvaluateArguments& arguments) {
  Registry registry;
  Recipe recipe = load_recipe_on_ranks([&] { return recipe_of_checkpoint(arguments, registry); });
  Session session(std::move(recipe), registry, arguments.json);
  return run_on_ranks(session, [&] {
    session.open(DataUse::evaluate);
    const PlanRequest request = plan_request(session.recipe, session.data, registry);
    State state(*session.device,
                parameter_layout(request, Mode::evaluation, registry, *session.device), 0, 1,
                false);
    if (session.is_first()) {
      const Checkpoint checkpoint = load_checkpoint(arguments.checkpoint);
      require_same_classes(checkpoint, session.data);
      restore_snapshot(state, checkpoint, {}, false, arguments.checkpoint);
    }
    broadcast_state(state, *session.communication);

    PlanCache plans(request, registry, *session.device, state.layout);
    Executor executor(*session.device, state, *session.communication);
    Evaluator evaluator(session, *session.data.test, plans, executor, training_batch(session));
    const Evaluation result = evaluator.run();
    if (session.is_first()) print_result(result, arguments.json);
    return 0;
  });
}

}  // namespace

void add_evaluate(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* command = app.add_subcommand("evaluate", "Measure a checkpoint on the test set");
  command
      ->add_option("checkpoint", arguments->checkpoint,
                   "A checkpoint, such as RUN/checkpoints/best.h5")
      ->required();
  command->add_option("--set", arguments->sets, "Change a key of its recipe: --set data.path=…")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE");
  command->add_flag("--json", arguments->json, "Print JSON: loss, top1, top5, samples");
  command->callback(
      [arguments, &context] { context.run = [arguments] { return evaluate(*arguments); }; });
}

}  // namespace lockstep
