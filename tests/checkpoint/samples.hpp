// Checkpoints for tests: small, with every kind of content.
#pragma once

#include <fstream>
#include <string>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/file.hpp"

namespace lockstep::test {

inline HostTensor ramp(const Shape& shape, float first) {
  HostTensor tensor{shape, {}};
  for (int64_t i = 0; i < shape.numel(); ++i)
    tensor.values.push_back(first + 0.25f * static_cast<float>(i));
  return tensor;
}

// The content of tests/checkpoint/data/format-1.h5 is sample_checkpoint(390).
inline Checkpoint sample_checkpoint(int64_t step) {
  const auto at = static_cast<float>(step);
  Checkpoint checkpoint;
  checkpoint.parameters["conv1.weight"] = ramp({4, 3, 3, 3}, at);
  checkpoint.parameters["layer1.0.bn1.weight"] = ramp({4}, 1);
  checkpoint.parameters["fc.bias"] = ramp({2}, -0.5f);
  checkpoint.buffers["layer1.0.bn1.running_mean"] = ramp({4}, 0.125f);
  checkpoint.buffers["temperature"] = ramp({}, 3);
  checkpoint.optimizer["velocity"]["conv1.weight"] = ramp({4, 3, 3, 3}, -at);
  checkpoint.optimizer["velocity"]["fc.bias"] = ramp({2}, 1e-8f);
  checkpoint.progress = {.epoch = 2,
                         .step = step,
                         .samples_in_epoch = 640,
                         .seed = 0xFFFFFFFFFFFFFFF0u,
                         .best_metric = 0.1 + 0.2,
                         .best_step = 195,
                         .evaluations_without_gain = 1,
                         .seconds = 12.5};
  checkpoint.recipe = "seed = 1\n[model]\nname = \"ré\"\n";
  checkpoint.classes = {"cat", "", "Größe"};
  return checkpoint;
}

inline bool equal(const HostTensor& a, const HostTensor& b) {
  return a.shape == b.shape && a.values == b.values;
}

inline bool equal(const TensorMap& a, const TensorMap& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    if (other == b.end() || !equal(tensor, other->second)) return false;
  }
  return true;
}

inline bool equal(const Checkpoint& a, const Checkpoint& b) {
  if (a.optimizer.size() != b.optimizer.size()) return false;
  for (const auto& [slot, tensors] : a.optimizer) {
    const auto other = b.optimizer.find(slot);
    if (other == b.optimizer.end() || !equal(tensors, other->second)) return false;
  }
  const Progress& p = a.progress;
  const Progress& q = b.progress;
  return equal(a.parameters, b.parameters) && equal(a.buffers, b.buffers) && p.epoch == q.epoch &&
         p.step == q.step && p.samples_in_epoch == q.samples_in_epoch && p.seed == q.seed &&
         p.best_metric == q.best_metric && p.best_step == q.best_step &&
         p.evaluations_without_gain == q.evaluations_without_gain && p.seconds == q.seconds &&
         a.recipe == b.recipe && a.classes == b.classes;
}

inline void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// What an Error{checkpoint} says; "" where nothing is thrown.
template <class F>
std::string refusal(F&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.failure() == Failure::checkpoint
               ? error.what()
               : concat("not Failure::checkpoint: ", error.what());
  }
  return {};
}

}  // namespace lockstep::test
