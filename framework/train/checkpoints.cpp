#include "train/checkpoints.hpp"

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"

namespace lockstep {

int64_t current_epoch(const Progress& progress) {
  return progress.samples_in_epoch == 0 && progress.epoch > 1 ? progress.epoch - 1 : progress.epoch;
}

Checkpoints::Checkpoints(const std::filesystem::path& run_folder, int64_t keep)
    : folder_(run_folder / "checkpoints"),
      writer_(std::make_unique<CheckpointWriter>(WriterOptions{
          .folder = folder_,
          .keep = keep,
          .report = [this](int64_t step, const std::filesystem::path& path,
                           const std::string& error,
                           double seconds) { report(step, path, error, seconds); }})) {}

void Checkpoints::save(const Checkpoint& checkpoint, bool best) {
  const Progress& progress = checkpoint.progress;
  if (const std::string lost = find_not_finite(checkpoint); !lost.empty()) {
    fail(Failure::other, "after step ", progress.step, ": ", lost,
         " is not finite any more, and is not saved: the checkpoints of before stay; try a smaller "
         "optimizer.lr, a longer warm-up or train.clip_grad_norm");
  }
  {
    const std::lock_guard lock(mutex_);
    posted_.emplace_back(progress.step, current_epoch(progress));
  }
  writer_->post(progress.step, to_bytes(checkpoint), best);
}

void Checkpoints::report(int64_t step, const std::filesystem::path& path, const std::string& error,
                         double seconds) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(posted_.begin(), posted_.end(),
                                  [step](const auto& posted) { return posted.first == step; });
  LS_ASSERT(found != posted_.end());
  const int64_t epoch = found->second;
  posted_.erase(found);
  if (!error.empty()) {
    log::error(concat("checkpoint of step ", step, " was NOT saved: ", error,
                      "; the one before stays and training goes on"));
    return;
  }
  saved_.push_back({.event = Record::checkpoint,
                    .epoch_number = epoch,
                    .step_number = step,
                    .seconds = seconds,
                    .path = concat("checkpoints/", path.filename().string())});
}

std::vector<Record> Checkpoints::take_saved() {
  const std::lock_guard lock(mutex_);
  return std::exchange(saved_, {});
}

void Checkpoints::finish() {
  writer_->wait();
  if (writer_->last_failed()) {
    fail(Failure::checkpoint, folder_.string(),
         ": the last checkpoint could not be saved (see above); "
         "make room and start again with --resume");
  }
}

}  // namespace lockstep
