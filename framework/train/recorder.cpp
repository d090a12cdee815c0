#include "train/recorder.hpp"

#include "train/metrics_files.hpp"
#include "train/terminal.hpp"

namespace lockstep {
namespace {

// sum += weight * value, where there is a value.
void accumulate(std::optional<double>& sum, const std::optional<double>& value, double weight) {
  if (value) sum = sum.value_or(0) + weight * *value;
}

}  // namespace

void EpochMean::begin(int64_t epoch) {
  sums_ = {.event = Record::epoch, .epoch_number = epoch, .samples = 0};
}

void EpochMean::add(const Record& step) {
  const auto samples = static_cast<double>(step.samples.value_or(0));
  accumulate(sums_.loss, step.loss, samples);
  accumulate(sums_.top1, step.top1, samples);
  accumulate(sums_.top5, step.top5, samples);
  accumulate(sums_.data_wait_seconds, step.data_wait_seconds, 1);
  accumulate(sums_.seconds, step.seconds, 1);
  *sums_.samples += step.samples.value_or(0);
  sums_.lr = step.lr;
  sums_.loss_scale = step.loss_scale;
  sums_.skipped_steps = step.skipped_steps;
}

Record EpochMean::result() const {
  Record mean = sums_;
  const auto samples = static_cast<double>(*sums_.samples);
  if (samples == 0) return mean;
  for (std::optional<double>* sum : {&mean.loss, &mean.top1, &mean.top5}) {
    if (*sum) *sum = **sum / samples;
  }
  if (mean.seconds.value_or(0) > 0) mean.images_per_second = samples / *mean.seconds;
  return mean;
}

Recorder::Recorder(const std::filesystem::path& folder, bool quiet, int64_t step, int64_t epoch) {
  const std::vector<Record> kept = cut_metrics(folder, step, epoch);
  begin_epoch(epoch);
  for (const Record& record : kept) {
    if (record.event == Record::step && record.epoch_number == epoch) mean_.add(record);
  }
  observers_.push_back(std::make_unique<MetricsFiles>(folder));
  observers_.push_back(std::make_unique<Terminal>(quiet));
}

void Recorder::begin_epoch(int64_t epoch) {
  if (epoch == epoch_) return;
  epoch_ = epoch;
  mean_.begin(epoch);
}

void Recorder::step(const Record& record, const Place& place, bool logged) {
  if (observers_.empty()) return;
  mean_.add(record);
  for (const auto& observer : observers_) observer->on_step(record, place, logged);
}

void Recorder::end_epoch(int64_t step, const Place& place) {
  if (observers_.empty()) return;
  Record record = mean_.result();
  record.step_number = step;
  for (const auto& observer : observers_) observer->on_epoch(record, place);
}

void Recorder::evaluation(const Record& record) {
  for (const auto& observer : observers_) observer->on_evaluation(record);
}

void Recorder::checkpoints(std::span<const Record> records) {
  for (const Record& record : records) {
    for (const auto& observer : observers_) observer->on_checkpoint(record);
  }
}

}  // namespace lockstep
