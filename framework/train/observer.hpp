// What happens in training, as told to those who show or write it down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lockstep {

// One line of metrics.jsonl. Absent fields do not apply to the event and are not written.
struct Record {
  enum Event : uint8_t { step, epoch, evaluation, checkpoint };
  Event event = step;
  int64_t epoch_number = 1;
  int64_t step_number = 0;
  std::optional<double> loss = {};             // mean over the samples
  std::optional<double> top1 = {}, top5 = {};  // fractions
  std::optional<int64_t> samples = {};
  std::optional<double> lr = {};
  std::optional<double> loss_scale = {};         // fp16: the step's
  std::optional<int64_t> skipped_steps = {};     // fp16: of the training so far
  std::optional<double> images_per_second = {};  // over all ranks
  std::optional<double> data_wait_seconds = {};  // rank 0's
  std::optional<double> seconds = {};  // that the step, epoch, evaluation or checkpoint took
  std::string split = {};              // evaluation: "validation" or "test"
  std::string path = {};               // checkpoint: relative to the run folder

  friend bool operator==(const Record&, const Record&) = default;
};
const char* name(Record::Event event);

// Where in the training a step stands, for progress bars.
struct Place {
  int64_t epochs = 0;         // in all; 0: not known
  int64_t step_in_epoch = 1;  // from 1
  int64_t steps_in_epoch = 1;
};

// Called on the trainer's thread, on rank 0 alone.
class Observer {
 public:
  virtual ~Observer() = default;
  // Every step; `logged` where train.log_every_steps asks for it.
  virtual void on_step(const Record& record, const Place& place, bool logged) = 0;
  virtual void on_epoch(const Record& record, const Place& place) = 0;
  virtual void on_evaluation(const Record& record) = 0;
  virtual void on_checkpoint(const Record& record) = 0;
};

}  // namespace lockstep
