// Checkpoints: one HDF5 file with everything that exact resumption needs. The format:
// checkpoint/FORMAT.md.
//
// The caller composes the file in memory (to_bytes); writing bytes safely is the writer's business
// (writer.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/shape.hpp"

namespace lockstep {

// A tensor in plain row-major order (convolution weights OIHW), float32, on the host.
struct HostTensor {
  Shape shape;
  std::vector<float> values;
};
using TensorMap = std::map<std::string, HostTensor, std::less<>>;

struct Progress {
  int64_t epoch = 1;  // the epoch under way or, where samples_in_epoch is 0, the next to begin
  int64_t step = 0;   // optimizer steps done
  int64_t samples_in_epoch = 0;  // of the current epoch, over all ranks, consumed
  uint64_t seed = 0;
  // Of the metric that chooses best.h5 and stops early; absent names: no evaluation yet.
  double best_metric = 0;
  int64_t best_step = 0;  // 0: none yet
  int64_t evaluations_without_gain = 0;
  double seconds = 0;  // of training so far, this run's earlier parts included
  // Of trainings in fp16 (train/loss_scale.hpp); otherwise 0, and not in the file.
  double loss_scale = 0;       // of the next step
  int64_t steps_at_scale = 0;  // good ones in a row
  int64_t skipped_steps = 0;   // in all
};

struct Checkpoint {
  TensorMap parameters;
  TensorMap buffers;
  std::map<std::string, TensorMap> optimizer;  // slot name -> tensors
  Progress progress;
  std::string recipe;  // the resolved recipe, TOML
  std::vector<std::string> classes;
};

bool all_finite(const std::vector<float>& values);
// "parameter 'conv1.weight'": the first tensor of parameters, buffers and optimizer that holds
// infinity or NaN; empty: none does.
std::string find_not_finite(const Checkpoint& checkpoint);

// The bytes of the file. Equal checkpoints give equal bytes.
std::string to_bytes(const Checkpoint& checkpoint);

// Reads and verifies. Throws Error{checkpoint}: what is wrong (magic, version, length, checksum,
// structure) and where. Symbolic links are followed.
Checkpoint load_checkpoint(const std::filesystem::path& path);
// Only progress, recipe and classes.
Checkpoint load_checkpoint_header(const std::filesystem::path& path);

}  // namespace lockstep
