#include "train/run_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/writer.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// "007" -> 7; 0 for what is no number.
int64_t run_number(const fs::path& folder) {
  const std::string text = folder.filename().string();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0 ? number : 0;
}

int64_t highest_number(const fs::path& parent) {
  int64_t highest = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent, ignored)) {
    if (entry.is_directory(ignored)) highest = std::max(highest, run_number(entry.path()));
  }
  return highest;
}

// A numbered folder that exists, whatever the width of its number.
fs::path folder_of_number(const fs::path& parent, int64_t number) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent, ignored)) {
    if (run_number(entry.path()) == number) return entry.path();
  }
  return {};
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    fail(Failure::other, folder.string(), ": cannot be made (", error.message(),
         "); a run needs a folder to write to; choose another with --output");
  }
}

bool is_empty_or_missing(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return true;
  return fs::is_directory(folder, error) && fs::is_empty(folder, error);
}

// The newest sound checkpoint of a run; what was passed over goes to start.warnings.
void find_checkpoint(RunStart& start) {
  Found found = find_newest_sound(start.folder / "checkpoints");
  start.checkpoint = std::move(found.path);
  for (const std::string& reason : found.rejected) {
    start.warnings.push_back(
        concat("passed over ", (start.folder / "checkpoints").string(), ": ", reason));
  }
}

// PATH as given: a checkpoint file, or a run folder whose newest sound one is meant.
RunStart resume_from(const RunRequest& request, const fs::path& runs) {
  RunStart start;
  std::error_code ignored;
  if (fs::is_directory(request.resume_from, ignored)) {
    start.folder = request.resume_from;
    find_checkpoint(start);
    if (start.checkpoint.empty()) {
      fail(Failure::checkpoint, "--resume=", request.resume_from.string(),
           ": no sound checkpoint in its checkpoints/",
           start.warnings.empty() ? "" : concat(" (", start.warnings.front(), ")"),
           "; expected a checkpoint or the folder of a run that has one");
    }
  } else {
    load_checkpoint_header(request.resume_from);
    start.checkpoint = request.resume_from;
    const fs::path folder = fs::absolute(request.resume_from).lexically_normal().parent_path();
    if (folder.filename() == "checkpoints") start.folder = folder.parent_path();
  }
  if (!request.output.empty()) {
    start.folder = request.output;
  } else if (start.folder.empty()) {
    start.folder = make_numbered_folder(runs);
  }
  return start;
}

}  // namespace

std::string run_name(const fs::path& recipe, const fs::path& working_directory) {
  const fs::path full = (working_directory / recipe).lexically_normal();
  const fs::path folder = full.parent_path();
  const std::string stem = full.stem().string();
  if (folder == working_directory.lexically_normal()) return stem;
  const std::string parent = folder.filename().string();
  return parent.empty() || parent == "recipes" ? stem : concat(parent, "-", stem);
}

fs::path make_numbered_folder(const fs::path& parent) {
  make_folders(parent);
  for (int64_t number = highest_number(parent) + 1;; ++number) {
    const fs::path folder = parent / fmt::format("{:03}", number);
    std::error_code error;
    if (fs::create_directory(folder, error)) return folder;  // false: another process was faster
    if (error) {
      fail(Failure::other, folder.string(), ": cannot be made (", error.message(),
           "); a run needs a folder to write to; choose another with --output");
    }
  }
}

fs::path newest_numbered_folder(const fs::path& parent) {
  const int64_t number = highest_number(parent);
  return number == 0 ? fs::path() : folder_of_number(parent, number);
}

RunStart begin_run(const RunRequest& request) {
  const fs::path runs = fs::path("runs") / run_name(request.recipe, fs::current_path());
  RunStart start;
  if (!request.resume_from.empty()) {
    start = resume_from(request, runs);
  } else if (!request.resume) {
    if (!request.output.empty() && !is_empty_or_missing(request.output)) {
      fail(Failure::usage, "--output ", request.output.string(),
           ": exists and is not an empty folder; expected a new or an empty one; add --resume to "
           "go on "
           "with the run in it, or choose another");
    }
    start.folder = request.output.empty() ? make_numbered_folder(runs) : request.output;
  } else {
    start.folder = request.output.empty() ? newest_numbered_folder(runs) : request.output;
    if (start.folder.empty()) {
      start.folder = make_numbered_folder(runs);
    } else {
      find_checkpoint(start);
    }
    if (start.checkpoint.empty()) {
      start.warnings.push_back(concat("--resume: no sound checkpoint in ", start.folder.string(),
                                      "; starting from the beginning"));
    }
  }
  make_folders(start.folder / "checkpoints");
  return start;
}

}  // namespace lockstep
