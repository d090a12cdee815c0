// What rank 0 shows and writes down of a training: the terminal, the metrics files, and the sums of
// an epoch.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "train/observer.hpp"

namespace lockstep {

// The mean over the steps of an epoch, from their records, so that a resumed epoch can be made up
// from the lines that metrics.jsonl has of it.
class EpochMean {
 public:
  void begin(int64_t epoch);
  void add(const Record& step);
  Record result() const;

 private:
  Record sums_;
};

class Recorder {
 public:
  // Without observers (other ranks than 0) everything here does nothing.
  Recorder() = default;
  // Goes on with the files in `folder`, from which lines past `step` are cut; `epoch` is the one
  // under way.
  Recorder(const std::filesystem::path& folder, bool quiet, int64_t step, int64_t epoch);

  void begin_epoch(int64_t epoch);  // no effect in the middle of this epoch
  void step(const Record& record, const Place& place, bool logged);
  void end_epoch(int64_t step, const Place& place);
  void evaluation(const Record& record);
  void checkpoints(std::span<const Record> records);

 private:
  std::vector<std::unique_ptr<Observer>> observers_;
  EpochMean mean_;
  int64_t epoch_ = 0;
};

}  // namespace lockstep
