// Run folders: where a run writes, and where one that goes on was left.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

// The folder in runs/ of a recipe: "quickstart" for recipes/quickstart.toml, "cifar10-resnet18" for
// recipes/cifar10/resnet18.toml: file name and folder, unless that is `recipes` or the working
// directory.
std::string run_name(const std::filesystem::path& recipe,
                     const std::filesystem::path& working_directory);

// Makes runs/NAME/001, 002, …: the one after the highest that exists, exclusively, also beside
// other processes.
std::filesystem::path make_numbered_folder(const std::filesystem::path& parent);
// The highest number that exists; empty: none.
std::filesystem::path newest_numbered_folder(const std::filesystem::path& parent);

struct RunRequest {
  std::filesystem::path recipe;
  std::filesystem::path output = {};  // --output; empty: a numbered folder in runs/
  bool resume = false;                // --resume, with or without a path
  // --resume=PATH: a checkpoint, or a run folder; empty: the newest.
  std::filesystem::path resume_from = {};
};

struct RunStart {
  std::filesystem::path folder;       // exists
  std::filesystem::path checkpoint;   // to go on from; empty: from the beginning
  std::vector<std::string> warnings;  // about checkpoints that were passed over
};

// Rank 0 alone. Throws Error{usage} where --output is in use and --resume was not given,
// Error{checkpoint} where a given PATH has no sound checkpoint, Error{other} where the folder
// cannot be made.
RunStart begin_run(const RunRequest& request);

}  // namespace lockstep
