// The checkpoints of a run, written in the background by rank 0.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/writer.hpp"
#include "train/observer.hpp"

namespace lockstep {

// The epoch that what happens now belongs to: between two epochs the one that has just ended.
int64_t current_epoch(const Progress& progress);

class Checkpoints {
 public:
  // `keep`: newest ones to keep beside the best; 0: all.
  Checkpoints(const std::filesystem::path& run_folder, int64_t keep);

  // Composes the file here and writes it in the background. A failure is logged, not thrown:
  // training goes on. Throws Error{other} where a tensor is not finite: it must not take the place
  // of a good one.
  void save(const Checkpoint& checkpoint, bool best);
  // What has been saved since the last call, for the observers.
  std::vector<Record> take_saved();
  // Waits until all is on disk. Throws Error{checkpoint} where the last one is not.
  void finish();
  // Waits and says nothing: when the run ends by an error anyway.
  void wait() { writer_->wait(); }

 private:
  void report(int64_t step, const std::filesystem::path& path, const std::string& error,
              double seconds);

  std::filesystem::path folder_;
  std::mutex mutex_;  // guards what follows
  std::vector<Record> saved_;
  std::vector<std::pair<int64_t, int64_t>> posted_;  // step and epoch
  std::unique_ptr<CheckpointWriter> writer_;         // last: its thread reports here
};

}  // namespace lockstep
