// The loop: steps make epochs, epochs make a training. What precedes the first step is in
// trainer_start.cpp.
#include "train/trainer.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>
#include <sstream>

#include "base/log.hpp"
#include "base/text.hpp"
#include "train/loss_scale.hpp"
#include "train/profile.hpp"
#include "train/snapshot.hpp"

namespace lockstep {
namespace {

bool is_due(int64_t count, int64_t every) { return every > 0 && count % every == 0; }

// None where there is nothing to take it of: a step of bad samples alone.
std::optional<double> mean(double sum, double weight) {
  return weight > 0 ? std::optional(sum / weight) : std::nullopt;
}

}  // namespace

Trainer::Trainer(Session& session, TrainOptions options, StopSignals& signals)
    : session_(session),
      recipe_(session.recipe),
      communication_(*session.communication),
      options_(std::move(options)),
      signals_(signals),
      setup_(session) {}

int Trainer::run() {
  try {
    start();
    return train();
  } catch (...) {
    if (checkpoints_) checkpoints_->wait();  // an error ends all ranks at once
    throw;
  }
}

int Trainer::train() {
  while (end_ == End::not_yet) {
    train_epoch();
    if (end_ == End::not_yet) finish_epoch();
  }
  return conclude();
}

// From where progress_ says to the end of the epoch, or to an end of the training before it.
void Trainer::train_epoch() {
  const int64_t first = setup_.steps.after(progress_.samples_in_epoch);
  std::vector<Slice> slices;  // of this rank; shards without samples are not loaded
  for (int64_t i = first; i < setup_.steps.count(); ++i) {
    for (int64_t k = 0; k < setup_.sharding.per_rank; ++k) {
      const Slice shard = setup_.sharding.shard(setup_.steps.at(i), k);
      if (shard.size() > 0) slices.push_back(shard);
    }
  }
  std::vector<int64_t> order =
      sample_order(setup_.steps.samples, recipe_.data.shuffle, recipe_.seed, progress_.epoch);
  setup_.loader.start(progress_.epoch, std::move(order), std::move(slices));

  recorder_.begin_epoch(progress_.epoch);
  step_began_ = Clock::now();
  for (int64_t i = first; i < setup_.steps.count() && end_ == End::not_yet; ++i) {
    train_step(i);
    const bool goes_on = end_ == End::not_yet && i + 1 < setup_.steps.count();
    if (goes_on && is_due(progress_.step, recipe_.checkpoint.every_steps)) save(false);
  }
}

// Step `index` (from 0) of the epoch, on all ranks.
void Trainer::train_step(int64_t index) {
  const Slice step = setup_.steps.at(index);
  const double lr = setup_.learning_rate.at(progress_.step);
  const double loss_scale = progress_.loss_scale;
  const MetricSums mine = run_shards(step, lr);

  // One sum agrees on everything: the step's metrics, signals of any rank, and rank 0's clock.
  std::array<double, 7> sums = {mine.loss,
                                mine.weight,
                                mine.top1,
                                mine.top5,
                                mine.samples,
                                signals_.received() != 0 ? 1.0 : 0.0,
                                session_.is_first() && time_is_up() ? 1.0 : 0.0};
  communication_.sum(sums, concat("metrics of step ", progress_.step + 1));
  const auto [loss, weight, top1, top5, samples, signalled, out_of_time] = sums;

  progress_.step += 1;
  progress_.samples_in_epoch = step.end;
  end_ = reached_limit(out_of_time > 0);
  if (end_ == End::not_yet && signalled > 0) end_ = End::signal;
  if (!std::isfinite(loss)) {
    fail(Failure::other, "step ", progress_.step, " of epoch ", progress_.epoch, ": the loss is ",
         std::isnan(loss) ? "not a number" : "infinite",
         "; expected a finite one; try a smaller optimizer.lr, a longer warm-up or "
         "train.clip_grad_norm (the last checkpoint is from before)");
  }

  note_skipped_step();

  const auto now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - step_began_).count();
  const double data_wait_seconds = setup_.loader.take_wait_seconds();
  step_began_ = now;
  data_wait_seconds_ += data_wait_seconds;
  Record record{.event = Record::step,
                .epoch_number = progress_.epoch,
                .step_number = progress_.step,
                .loss = mean(loss, weight),
                .top1 = mean(top1, samples),
                .top5 = mean(top5, samples),
                .samples = std::llround(samples),
                .lr = lr,
                .images_per_second = static_cast<double>(step.size()) / seconds,
                .data_wait_seconds = data_wait_seconds,
                .seconds = seconds};
  if (loss_scale != 0) {
    record.loss_scale = loss_scale;
    record.skipped_steps = progress_.skipped_steps;
  }
  recorder_.step(
      record,
      {.epochs = setup_.epochs, .step_in_epoch = index + 1, .steps_in_epoch = setup_.steps.count()},
      progress_.step % recipe_.train.log_every_steps == 0);
  if (checkpoints_) recorder_.checkpoints(checkpoints_->take_saved());
}

// This rank's part of a step, and its metrics before the update.
MetricSums Trainer::run_shards(const Slice& step, double lr) {
  const Executor::StepContext context{
      .update = {.lr = static_cast<float>(lr),
                 .step = progress_.step + 1 - progress_.skipped_steps},
      .step = progress_.step + 1,
      .epoch = progress_.epoch,
      .seed = recipe_.seed,
      .global_samples = step.size(),
      .shards = setup_.sharding.per_rank,
      .loss_scale = progress_.loss_scale};
  const auto next = [&](int64_t k) -> Executor::Shard {
    const int64_t samples = setup_.sharding.shard(step, k).size();
    if (samples == 0) return {&setup_.plans.any_training(setup_.executor), {}};
    Plan& plan = setup_.plans.get(setup_.executor, Mode::training, samples);
    return {&plan, setup_.loader.next()};
  };
  setup_.executor.collect_times(recipe_.train.profile);
  try {
    return setup_.executor.train_step(context, next,
                                      [&](const Batch& batch) { setup_.loader.release(batch); });
  } catch (Error& error) {
    throw error.add_context(concat("step ", progress_.step + 1));
  }
}

// Of fp16: the scale that was too large is halved; one that stays too large is no matter of scale.
void Trainer::note_skipped_step() {
  if (progress_.loss_scale == 0) return;
  const bool skipped = setup_.executor.skipped_update();
  skipped_in_a_row_ = skipped ? skipped_in_a_row_ + 1 : 0;
  constexpr int64_t kMost = 50;
  if (skipped_in_a_row_ == kMost) {
    fail(Failure::other, "step ", progress_.step, " of epoch ", progress_.epoch, ": gradients in ",
         "fp16 are not finite for ", kMost, " steps in a row, now with a loss scale of ",
         fmt::format("{:g}", progress_.loss_scale),
         "; expected finite ones; try a smaller optimizer.lr, ",
         "train.loss_scale = 0 or train.precision = \"bf16\" (the last checkpoint is from before)");
  }
  update_loss_scale(progress_, recipe_.train, skipped);
}

Trainer::End Trainer::reached_limit(bool time_is_up) const {
  const TrainSection& train = recipe_.train;
  if (train.max_steps >= 0 && progress_.step >= train.max_steps) return End::max_steps;
  if (train.epochs >= 0 && progress_.epoch > train.epochs) return End::epochs;
  if (time_is_up) return End::max_seconds;
  return End::not_yet;
}

// After the last step of an epoch: its line, the evaluation and the checkpoint that are due.
void Trainer::finish_epoch() {
  const Progress before = progress_;
  const int64_t epoch = progress_.epoch;
  recorder_.end_epoch(progress_.step, {.epochs = setup_.epochs});
  progress_.epoch += 1;
  progress_.samples_in_epoch = 0;
  if (end_ == End::not_yet) end_ = reached_limit(false);

  best_ = false;
  if (end_ != End::not_yet || is_due(epoch, recipe_.evaluation.every_epochs)) evaluate();
  if (end_ == End::signal) {  // while evaluating: the run that goes on from here does it again
    progress_ = before;
    return;
  }
  const int64_t patience = recipe_.train.early_stopping_patience;
  const bool out_of_patience = patience > 0 && progress_.evaluations_without_gain >= patience;
  if (end_ == End::not_yet && out_of_patience) end_ = End::early_stop;

  if (end_ != End::not_yet || best_ || is_due(epoch, recipe_.checkpoint.every_epochs) ||
      is_due(progress_.step, recipe_.checkpoint.every_steps)) {
    save(best_);
  }
}

bool Trainer::epoch_is_complete() const {
  return setup_.steps.after(progress_.samples_in_epoch) >= setup_.steps.count();
}

// The last things, all ranks together. A signal leaves the rest to the run that resumes this one.
int Trainer::conclude() {
  if (end_ != End::signal && epoch_is_complete()) {
    finish_epoch();
  } else if (end_ != End::signal && evaluated_step_ != progress_.step && !nothing_to_do_) {
    evaluate();
    if (end_ != End::signal) save(best_);
  }
  if (end_ == End::signal) save(false);
  // To the end, since all is saved and no later run would do it again.
  const bool test = setup_.test_evaluator && end_ != End::signal && !nothing_to_do_;
  if (test) evaluate_on(*setup_.test_evaluator, "test");
  count_bad_samples();
  if (checkpoints_) checkpoints_->finish();
  const std::string signal = end_ == End::signal ? signal_text() : "";
  if (checkpoints_) {
    recorder_.checkpoints(checkpoints_->take_saved());
    say_how_it_ended(signal);
  }
  communication_.barrier("the end");
  if (end_ == End::signal) signals_.ignore_the_rest();
  return end_ == End::signal ? kExitStopped : 0;
}

void Trainer::count_bad_samples() {
  if (!session_.bad_samples) return;
  std::array<double, 1> count = {static_cast<double>(session_.bad_samples->count())};
  communication_.sum(count, "bad samples");
  bad_samples_ = std::llround(count[0]);
}

// "USR1 after 0.7 s": the signal that has waited longest, over all ranks. All ranks call it.
std::string Trainer::signal_text() {
  const int number = signals_.received();
  const std::string mine =
      number == 0 ? "" : fmt::format("{:012.1f} {}", signals_.seconds_since(), number);
  double seconds = 0;
  int first = 0;
  for (const std::string& text : communication_.gather(mine, "signals")) {
    std::istringstream stream(text);
    double age = 0;
    int received = 0;
    if (stream >> age >> received && (first == 0 || age > seconds)) {
      seconds = age;
      first = received;
    }
  }
  return fmt::format("{} after {:.1f} s", signal_name(first), seconds);
}

// On the set that chooses the best checkpoint. A signal on any rank stops it: end_ says so.
void Trainer::evaluate() {
  evaluate_on(setup_.evaluator, setup_.test_evaluator ? "validation" : "test",
              [this] { return signals_.received() != 0; });
  if (evaluation_.stopped) {
    end_ = End::signal;
    return;
  }
  evaluated_step_ = progress_.step;

  const std::string& metric = recipe_.checkpoint.best_metric;
  const double value = metric == "loss"   ? evaluation_.loss
                       : metric == "top5" ? evaluation_.top5
                                          : evaluation_.top1;
  const double gain =
      metric == "loss" ? progress_.best_metric - value : value - progress_.best_metric;
  const bool first = progress_.best_step == 0;
  best_ = std::isfinite(value) && (first || gain > 0);
  if (best_) {
    progress_.best_metric = value;
    progress_.best_step = progress_.step;
  }
  // An end in the middle of an epoch does not count: a training that goes on from there is to be
  // as if it had not been.
  const bool regular = progress_.samples_in_epoch == 0;
  progress_.evaluations_without_gain =
      best_ ? 0 : progress_.evaluations_without_gain + (regular ? 1 : 0);
}

void Trainer::evaluate_on(Evaluator& evaluator, const char* split, const Evaluator::Stop& stop) {
  setup_.executor.collect_times(false);  // a profile is one of training steps
  evaluation_ = evaluator.run(nullptr, stop);
  if (evaluation_.stopped) return;
  Record record{.event = Record::evaluation,
                .epoch_number = current_epoch(progress_),
                .step_number = progress_.step,
                .top1 = evaluation_.top1,
                .top5 = evaluation_.top5,
                .samples = evaluation_.samples,
                .images_per_second = static_cast<double>(evaluation_.samples) / evaluation_.seconds,
                .seconds = evaluation_.seconds,
                .split = split};
  if (std::isfinite(evaluation_.loss)) record.loss = evaluation_.loss;
  recorder_.evaluation(record);
}

// Rank 0 copies the state, which is the same on all ranks; a thread of its own writes it.
void Trainer::save(bool best) {
  if (!checkpoints_) return;
  Checkpoint checkpoint = take_snapshot(setup_.state, setup_.optimizer->slot_names());
  checkpoint.progress = progress_;
  // Only where it matters, so that otherwise equal trainings give equal files.
  if (recipe_.train.max_seconds >= 0) checkpoint.progress.seconds = seconds();
  checkpoint.recipe = setup_.recipe_text;
  checkpoint.classes = session_.data.class_names;
  checkpoints_->save(checkpoint, best);
}

double Trainer::seconds() const {
  return seconds_before_ + std::chrono::duration<double>(Clock::now() - run_began_).count();
}

bool Trainer::time_is_up() const {
  return recipe_.train.max_seconds >= 0 && seconds() >= recipe_.train.max_seconds;
}

void Trainer::say_how_it_ended(const std::string& signal) const {
  if (recipe_.train.profile) log::info(profile_text(setup_.executor.times(), data_wait_seconds_));
  if (bad_samples_ > 0) {
    log::info(fmt::format("left out {} bad sample{} (data.on_bad_sample = \"skip\"){}",
                          bad_samples_, bad_samples_ == 1 ? "" : "s",
                          communication_.world_size() > 1 ? ", counted by each rank" : ""));
  }
  const std::string place = fmt::format("step {} in {}", progress_.step, folder_.string());
  if (end_ == End::signal) {
    log::info("stopped by " + signal + ", saved at " + place +
              "; the same command with --resume goes on");
    return;
  }
  if (nothing_to_do_) {
    log::info("nothing left to train: at " + place);
    return;
  }
  if (end_ == End::early_stop) {
    log::info(fmt::format("stopped early: no gain in {} evaluations",
                          progress_.evaluations_without_gain));
  }
  const std::chrono::duration<double> took = Clock::now() - run_began_;
  log::info(fmt::format("done in {}: top1 {:.2f}%, best {} {:.4f} at step {}",
                        duration_text(took.count()), 100 * evaluation_.top1,
                        recipe_.checkpoint.best_metric, progress_.best_metric,
                        progress_.best_step));
  log::info("run folder: " + folder_.string());
}

}  // namespace lockstep
