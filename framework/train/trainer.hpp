// Training on one rank, in lockstep with the others: epochs, steps, evaluation, checkpoints, and
// the ways to stop.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "checkpoint/checkpoint.hpp"
#include "train/checkpoints.hpp"
#include "train/recorder.hpp"
#include "train/run_folder.hpp"
#include "train/session.hpp"
#include "train/setup.hpp"
#include "train/signals.hpp"

namespace lockstep {

struct TrainOptions {
  RunRequest run;
  bool quiet = false;
};

class Trainer {
 public:
  // The session's data is open for training. All ranks make a trainer; nothing is written yet.
  Trainer(Session& session, TrainOptions options, StopSignals& signals);

  // Trains to the end, or to a signal. Returns the exit code: 0 or kExitStopped.
  int run();

 private:
  enum class End : uint8_t { not_yet, epochs, max_steps, max_seconds, early_stop, signal };

  // Before the first step: trainer_start.cpp.
  void start();
  RunStart agree_on_run();
  void start_state(const std::filesystem::path& checkpoint);
  void take_initial_weights();
  void describe_run(const std::string& environment) const;

  // The loop: trainer.cpp.
  int train();
  void train_epoch();
  void train_step(int64_t index);
  MetricSums run_shards(const Slice& step, double lr);
  End reached_limit(bool time_is_up) const;
  bool epoch_is_complete() const;
  void finish_epoch();
  int conclude();
  void evaluate();
  void evaluate_on(Evaluator& evaluator, const char* split, const Evaluator::Stop& stop = nullptr);
  void count_bad_samples();
  void note_skipped_step();
  void save(bool best);
  bool time_is_up() const;
  double seconds() const;
  std::string signal_text();
  void say_how_it_ended(const std::string& signal) const;

  using Clock = std::chrono::steady_clock;

  Session& session_;
  const Recipe& recipe_;
  CommunicationThread& communication_;
  const TrainOptions options_;
  StopSignals& signals_;
  Setup setup_;

  std::filesystem::path folder_;
  Recorder recorder_;                         // does nothing on other ranks than 0
  std::unique_ptr<Checkpoints> checkpoints_;  // null there

  Progress progress_;
  End end_ = End::not_yet;
  bool nothing_to_do_ = false;  // resumed at its end
  int64_t evaluated_step_ =
      -1;  // the step of the last evaluation, what it gave, and whether it is the best so far
  Evaluation evaluation_;
  bool best_ = false;
  Clock::time_point run_began_;
  Clock::time_point step_began_;
  double seconds_before_ = 0;     // of this training, before it was resumed
  double data_wait_seconds_ = 0;  // of this run, on this rank
  int64_t bad_samples_ = 0;       // of this run, over all ranks
  int64_t skipped_in_a_row_ = 0;  // steps of fp16
};

}  // namespace lockstep
