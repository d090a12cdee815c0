// A training described: what recipes/*.toml say, checked and typed. Keys are named as in the file.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/options.hpp"
#include "plugin/registry.hpp"
#include "train/schedule.hpp"

namespace lockstep {

struct ModelSection {
  std::string name;        // required
  Setting::Table options;  // the keys left for the plugin, with their places; likewise below
};

struct InitSection {
  std::string weights;        // .pth, .safetensors or a checkpoint; empty: none
  bool strict = true;         // false: takes what fits of the weights
  bool replace_head = false;  // true: always; false: where the numbers of classes differ
  std::string scheme = "he";  // "he" or "normal"
  double std = 0.01;          // of "normal"
};

struct TransformSection {
  std::string name;
  Setting::Table options;
  std::string where;
};

struct DataSection {
  std::string name;  // required
  std::string path;
  bool shuffle = true;
  bool drop_last = false;
  int workers = -1;  // threads; -1: chosen from the rank's share of the cores
  std::vector<TransformSection> train_transforms;
  std::vector<TransformSection> eval_transforms;
  std::vector<double> mean;  // per channel, of pixels scaled to [0, 1]; empty: 0
  std::vector<double> std;   // likewise; empty: 1
  double validation_fraction = 0;
  bool cache_features = false;         // of a frozen network, in memory
  std::string on_bad_sample = "fail";  // or "skip"
  int64_t max_bad_samples = 100;       // per rank
  std::string class_weights = "none";  // or "balanced"
  Setting::Table options;
};

struct TrainSection {
  int64_t epochs = -1;     // -1: not set, as for the next two; at least one of them is set
  int64_t max_steps = -1;  // 0: saves the initial parameters as step 0
  double max_seconds = -1;
  int64_t global_batch_size = 128;
  int64_t gradient_accumulation = 1;
  bool auto_accumulate = false;
  double label_smoothing = 0;
  double clip_grad_norm = 0;  // 0: off
  bool sync_batch_norm = false;
  std::string precision = "fp32";   // "fp32", "bf16" or "fp16"
  double loss_scale = 0;            // of fp16; 0: found while training
  std::vector<std::string> freeze;  // NamePatterns of parameters that are not trained
  int64_t early_stopping_patience =
      0;  // evaluations without a better checkpoint.best_metric; 0: off
  int64_t log_every_steps = 1;
  bool profile = false;
};

struct EvaluationSection {
  int64_t every_epochs = 1;  // 0: at the end alone
};

struct DeviceSection {
  std::string name = "auto";
  int threads = 0;
  bool deterministic = true;
  bool tf32 = true;
  bool autotune = true;
  bool capture = true;  // record launches and replay them, where the device can
};

struct CommunicatorSection {
  std::string name = "auto";
  double bucket_mib = 25;
  double timeout_seconds = 600;
  std::string compression = "none";  // or "bf16"
};

struct CheckpointSection {
  int64_t every_epochs = 1;  // 0: not by epochs
  int64_t every_steps = 0;
  int64_t keep = 0;                  // 0: all
  std::string best_metric = "top1";  // "top1", "top5" or "loss"
};

// Parameters with a rate and a weight decay of their own: [[optimizer.groups]].
struct OptimizerGroup {
  std::vector<std::string> parameters;  // NamePatterns
  double lr_multiplier = 1;
  double weight_decay_multiplier = 1;
};

struct OptimizerSection {
  std::string name = "sgd";
  double lr = 0.1;
  int64_t lr_reference_batch = 0;
  bool decay_norm_and_bias = true;
  std::vector<OptimizerGroup> groups;
  Setting::Table options;
};

struct ScheduleSection : ScheduleSettings {
  std::string name = "constant";
  Setting::Table options;
};

struct Recipe {
  uint64_t seed = 1;
  ModelSection model;
  InitSection init;
  DataSection data;
  TrainSection train;
  OptimizerSection optimizer;
  ScheduleSection schedule;
  EvaluationSection evaluation;
  CheckpointSection checkpoint;
  DeviceSection device;
  CommunicatorSection communicator;

  std::string origin;  // the file
  std::map<std::string, std::string, std::less<>>
      places;  // of what was given: "train.epochs" -> "x.toml:9:10"

  // Where a key's value, or else its section, or else the recipe comes from; for errors found
  // later.
  const std::string& place(std::string_view key) const;
};

// Reads a recipe and applies `sets` ("train.epochs=3") to it. Opens the plugins it names, except
// device and communicator. Throws Error{usage}: place, what was found, what was expected, a
// suggestion.
Recipe load_recipe(const std::string& path, std::span<const std::string> sets, Registry& registry);
Recipe parse_recipe(std::string_view text, const std::string& origin,
                    std::span<const std::string> sets, Registry& registry);

// TOML with the value of every key, the plugins' too. Parsed, it gives the same recipe and the same
// text again.
std::string resolved_text(const Recipe& recipe, Registry& registry);

// Dotted keys whose values differ, in the order of the resolved text.
std::vector<std::string> differences(const Recipe& a, const Recipe& b, Registry& registry);

// Whether a resumed training may have another value there than its checkpoint.
bool may_differ_on_resume(std::string_view key);

}  // namespace lockstep
