// What precedes the first step: the run folder, the weights or the checkpoint to begin with, and
// what is written down.
#include <fmt/format.h>

#include <cstring>
#include <type_traits>

#include "base/log.hpp"
#include "base/text.hpp"
#include "checkpoint/writer.hpp"
#include "data/class_indices.hpp"
#include "train/environment.hpp"
#include "train/initial_weights.hpp"
#include "train/loss_scale.hpp"
#include "train/shared_folder.hpp"
#include "train/snapshot.hpp"
#include "train/trainer.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// A resumed training is the same training: only keys that do not change what is learnt may have
// changed.
void require_same_training(const Recipe& recipe, const Checkpoint& checkpoint, const fs::path& path,
                           Registry& registry) {
  const Recipe before = parse_recipe(checkpoint.recipe, path.string() + ":/recipe", {}, registry);
  std::vector<std::string> changed = differences(before, recipe, registry);
  std::erase_if(changed, [](const std::string& key) { return may_differ_on_resume(key); });
  if (changed.empty()) return;
  fail(Failure::usage, "--resume: the recipe differs from that of ", path.string(), " in ",
       list_words(changed, " and "),
       "; only device.*, communicator.*, data.workers, data.path, data.on_bad_sample, "
       "data.max_bad_samples, evaluation.*, checkpoint.*, train.epochs, train.max_steps, "
       "train.max_seconds and train.auto_accumulate may differ; change it back, or train afresh "
       "without --resume");
}

Progress broadcast_progress(const Progress& progress, CommunicationThread& communication) {
  static_assert(std::is_trivially_copyable_v<Progress>);
  std::string bytes(reinterpret_cast<const char*>(&progress), sizeof progress);
  communication.broadcast(bytes, 0, "progress");
  Progress received;
  LS_ASSERT(bytes.size() == sizeof received);
  std::memcpy(&received, bytes.data(), sizeof received);
  return received;
}

}  // namespace

void Trainer::start() {
  const RunStart run = agree_on_run();
  folder_ = run.folder;
  const std::vector<Finding> findings = check_shared_folder(folder_, communication_);
  log::open_file(folder_);
  act_on(findings, communication_.rank());
  for (const std::string& warning : run.warnings) log::warn(warning);

  start_state(run.checkpoint);
  const bool resumed = !run.checkpoint.empty();
  seconds_before_ = progress_.seconds;
  run_began_ = Clock::now();
  end_ =
      reached_limit(recipe_.train.max_seconds >= 0 && seconds_before_ > recipe_.train.max_seconds);
  nothing_to_do_ = resumed && end_ != End::not_yet && !epoch_is_complete();

  const std::string environment = environment_json(session_, setup_.sharding);
  if (!session_.is_first()) return;
  describe_run(environment);
  recorder_ = Recorder(folder_, options_.quiet, resumed ? progress_.step : -1, progress_.epoch);
  checkpoints_ = std::make_unique<Checkpoints>(folder_, recipe_.checkpoint.keep);
  if (resumed) {
    log::info(fmt::format("going on from {}: epoch {}, step {}", run.checkpoint.string(),
                          progress_.epoch, progress_.step));
  }
}

// Rank 0 chooses and makes the run folder; the others are told.
RunStart Trainer::agree_on_run() {
  RunStart run;
  if (session_.is_first()) run = begin_run(options_.run);
  std::string folder = run.folder.string();
  std::string checkpoint = run.checkpoint.string();
  communication_.broadcast(folder, 0, "run folder");
  communication_.broadcast(checkpoint, 0, "checkpoint to resume");
  run.folder = folder;
  run.checkpoint = checkpoint;
  return run;
}

// The same state on all ranks: from the checkpoint to resume, from init.weights, or drawn.
void Trainer::start_state(const fs::path& checkpoint) {
  progress_.seed = recipe_.seed;
  progress_.loss_scale = initial_loss_scale(recipe_.train);
  setup_.state.initialize(
      {.seed = recipe_.seed, .normal = recipe_.init.scheme == "normal", .std = recipe_.init.std});
  if (session_.is_first() && !checkpoint.empty()) {
    const Checkpoint loaded = load_checkpoint(checkpoint);
    require_same_training(recipe_, loaded, checkpoint, session_.registry);
    require_same_classes(session_.data, loaded.classes, checkpoint.string());
    restore_snapshot(setup_.state, loaded, setup_.optimizer->slot_names(), checkpoint.string());
    progress_ = loaded.progress;
  } else if (session_.is_first() && !recipe_.init.weights.empty()) {
    take_initial_weights();
  }
  progress_ = broadcast_progress(progress_, communication_);
  broadcast_state(setup_.state, communication_);
  if (setup_.feature_cache) setup_.feature_cache->fill(setup_.state);
}

void Trainer::take_initial_weights() {
  const InitSection& init = recipe_.init;
  const WeightRules rules{
      .strict = init.strict,
      .replace_head = init.replace_head ? ReplaceHead::always : ReplaceHead::where_classes_differ};
  const std::string path = resolve_data_path(init.weights, "init.weights", Failure::checkpoint);
  const Weights weights = read_weights(path);
  const WeightReport report =
      load_weights(setup_.state, weights, network_parts(setup_.request, session_.registry.ops()),
                   rules, session_.registry);
  log::info(report.text());
  const bool other_classes =
      !weights.classes.empty() && weights.classes != session_.data.class_names;
  if (report.replaced.empty() && other_classes) {
    log::warn(
        "init.weights: the head is kept, though it was trained for classes of other names or "
        "order; init.replace_head = true draws it anew");
  }
}

// Rank 0: what the run folder says about the run, and one line for people. Needs room for
// checkpoints.
void Trainer::describe_run(const std::string& environment) const {
  const int64_t bytes = checkpoint_bytes(setup_.state.layout, setup_.optimizer->slots());
  // The old one stays until the new one is safe.
  require_free_space(folder_ / "checkpoints", 2 * bytes);
  write_file_safely(folder_ / "recipe.toml", setup_.recipe_text);
  write_file_safely(folder_ / "environment.json", environment);
  write_file_safely(folder_ / "class_indices.json", class_indices_json(session_.data.class_names));

  const int ranks = communication_.world_size();
  log::info(fmt::format("{} on {}: {} parameters, {} training samples, {} steps per epoch",
                        recipe_.model.name, recipe_.data.name,
                        count_text(setup_.state.layout.parameter_count()),
                        count_text(setup_.steps.samples), count_text(setup_.steps.count())));
  log::info(fmt::format("{} on {}; writing to {}",
                        ranks == 1 ? "1 rank" : fmt::format("{} ranks, each", ranks),
                        session_.device->description(), folder_.string()));
}

}  // namespace lockstep
