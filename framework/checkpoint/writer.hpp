// Writes checkpoints so that a crash at any moment leaves the old or the new one, on a thread of
// its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lockstep {

// Writes bytes to a temporary file beside `path`, fsyncs, renames over `path`, fsyncs the folder.
// Throws Error{checkpoint} with the system's reason; the temporary file is then gone and the old
// `path` untouched.
void write_file_safely(const std::filesystem::path& path, std::string_view bytes);

struct WriterOptions {
  std::filesystem::path folder;  // "<run>/checkpoints"
  int64_t keep = 0;              // newest sound ones to keep beside the best; 0: all
  // Told of every outcome, on the writer's thread: an empty error means it is safe on disk.
  std::function<void(int64_t step, const std::filesystem::path&, const std::string& error,
                     double seconds)>
      report;
};

class CheckpointWriter {
 public:
  explicit CheckpointWriter(WriterOptions options);
  ~CheckpointWriter();  // waits for what was posted

  // Writes `step-00000390.h5` and points last.h5 (and best.h5) at it, in the background. At most
  // one is under way; another waits for it here. A full disk is reported, not thrown: training goes
  // on, the old checkpoint stays.
  void post(int64_t step, std::string bytes, bool best);
  void wait();  // until all that was posted is on disk or has failed
  bool last_failed() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

std::string checkpoint_name(int64_t step);  // "step-00000390.h5"

// The newest checkpoint in a folder that loads and holds numbers alone, and what was wrong with
// newer ones ("step-00000390.h5: checksum …").
struct Found {
  std::filesystem::path path;  // empty: none
  std::vector<std::string> rejected;
};
Found find_newest_sound(const std::filesystem::path& folder);

// Throws Error{checkpoint} unless the folder's disk has room for `bytes` more, with what was found
// and wanted.
void require_free_space(const std::filesystem::path& folder, int64_t bytes);

}  // namespace lockstep
