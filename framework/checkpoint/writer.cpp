#include "checkpoint/writer.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "base/text.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/file.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".tmp";
constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kSuffix = ".h5";

fs::path temporary_for(const fs::path& path) { return path.string() + std::string(kTemporary); }

// The folder of a path as a path that can be opened.
fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

std::optional<int64_t> step_of(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return {};
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(std::min(name.size(), kSuffix.size()));
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step < 0) return {};
  return step;
}

// The checkpoints of a folder by step.
std::map<int64_t, fs::path> list_checkpoints(const fs::path& folder) {
  std::map<int64_t, fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (const auto step = step_of(entry->path().filename().string())) found[*step] = entry->path();
  }
  return found;
}

// The name a link points to; empty where there is none.
std::string link_target(const fs::path& link) {
  std::error_code error;
  return fs::read_symlink(link, error).string();
}

// Points a link at another file of its folder, at once.
void replace_link(const fs::path& link, const std::string& target) {
  const fs::path temporary = temporary_for(link);
  remove_file(temporary);
  try {
    make_symlink(target, temporary);
    rename_file(temporary, link);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

// What a run that was killed while writing has left.
void remove_temporaries(const fs::path& folder) {
  std::vector<fs::path> left;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == kTemporary) left.push_back(entry->path());
  }
  for (const fs::path& path : left) fs::remove(path, error);
}

// Empty: sound; else what is wrong.
std::string defect_of(const fs::path& path) {
  try {
    const std::string lost = find_not_finite(load_checkpoint(path));
    return lost.empty() ? "" : concat(path.filename().string(), ": ", lost, " is not finite");
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::string checkpoint_name(int64_t step) {
  std::string digits = std::to_string(step);
  constexpr size_t kDigits = 8;
  if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
  return concat(kPrefix, digits, kSuffix);
}

void write_file_safely(const fs::path& path, std::string_view bytes) {
  const fs::path temporary = temporary_for(path);
  try {
    OutputFile file(temporary);
    file.write(bytes);
    file.sync();
    file.close();
    rename_file(temporary, path);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  sync_folder(folder_of(path));
}

class CheckpointWriter::Impl {
 public:
  explicit Impl(WriterOptions options) : options_(std::move(options)) {
    std::error_code error;
    fs::create_directories(options_.folder, error);
    if (error) {
      fail(Failure::checkpoint, options_.folder.string(),
           ": cannot make the folder: ", error.message());
    }
    remove_temporaries(options_.folder);
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void post(int64_t step, std::string bytes, bool best) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !job_; });
    job_ = Job{step, std::move(bytes), best};
    changed_.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !job_; });
  }

  bool last_failed() {
    const std::lock_guard lock(mutex_);
    return last_failed_;
  }

 private:
  struct Job {
    int64_t step;
    std::string bytes;
    bool best;
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return job_ || ending_; });
      if (!job_) return;
      lock.unlock();
      const std::string error = write(*job_);
      lock.lock();
      last_failed_ = !error.empty();
      job_.reset();
      changed_.notify_all();
    }
  }

  // Returns what went wrong; empty: nothing.
  std::string write(const Job& job) {
    const auto begin = std::chrono::steady_clock::now();
    const std::string name = checkpoint_name(job.step);
    const fs::path path = options_.folder / name;
    std::string error;
    try {
      write_file_safely(path, job.bytes);
      sound_.insert(name);
      replace_link(options_.folder / "last.h5", name);
      if (job.best) replace_link(options_.folder / "best.h5", name);
      sync_folder(options_.folder);
      if (options_.keep > 0) remove_old(job.step);
    } catch (const std::exception& e) {
      error = e.what();
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    if (options_.report) options_.report(job.step, path, error, elapsed.count());
    return error;
  }

  // Keeps the newest sound ones up to this step, and the best. Later steps are of a course that was
  // given up when an earlier checkpoint was resumed.
  void remove_old(int64_t newest_step) {
    const std::string best = link_target(options_.folder / "best.h5");
    const auto checkpoints = list_checkpoints(options_.folder);
    int64_t kept = 0;
    for (auto entry = checkpoints.rbegin(); entry != checkpoints.rend(); ++entry) {
      const auto& [step, path] = *entry;
      const std::string name = path.filename().string();
      if (step <= newest_step && kept < options_.keep && is_sound(name)) {
        ++kept;
      } else if (name != best) {
        remove_file(path);
      }
    }
  }

  // Those of this run are known to be sound; those found in the folder are read once.
  bool is_sound(const std::string& name) {
    if (sound_.contains(name)) return true;
    if (!defect_of(options_.folder / name).empty()) return false;
    sound_.insert(name);
    return true;
  }

  const WriterOptions options_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Job> job_;  // posted or being written
  bool ending_ = false;
  bool last_failed_ = false;
  std::set<std::string> sound_;  // names; the thread's own
};

CheckpointWriter::CheckpointWriter(WriterOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

CheckpointWriter::~CheckpointWriter() = default;

void CheckpointWriter::post(int64_t step, std::string bytes, bool best) {
  impl_->post(step, std::move(bytes), best);
}

void CheckpointWriter::wait() { impl_->wait(); }

bool CheckpointWriter::last_failed() const { return impl_->last_failed(); }

// First what last.h5 names, since it was written last; step numbers tell that only within one
// course, and a run that resumed from an earlier checkpoint has begun another. Then by step, from
// the highest.
Found find_newest_sound(const fs::path& folder) {
  const auto checkpoints = list_checkpoints(folder);
  std::vector<fs::path> candidates;
  for (const auto& [step, path] : checkpoints) candidates.push_back(path);
  std::reverse(candidates.begin(), candidates.end());
  const std::string last = link_target(folder / "last.h5");
  std::stable_partition(candidates.begin(), candidates.end(),
                        [&](const fs::path& path) { return path.filename() == last; });
  Found found;
  for (const fs::path& path : candidates) {
    const std::string defect = defect_of(path);
    if (defect.empty()) {
      found.path = path;
      return found;
    }
    found.rejected.push_back(defect);
  }
  return found;
}

void require_free_space(const fs::path& folder, int64_t bytes) {
  std::error_code error;
  fs::path existing = fs::absolute(folder);
  while (!fs::exists(existing, error) && existing.has_relative_path())
    existing = existing.parent_path();
  const int64_t available = free_bytes(existing);
  if (available < bytes) {
    fail(Failure::checkpoint, folder.string(), ": the disk has ", bytes_text(available), " free; ",
         bytes_text(bytes), " are needed for a checkpoint; make room or choose another --output");
  }
}

}  // namespace lockstep
