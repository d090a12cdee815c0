// Files of weights in any format: torch's .pth and .pt (zip and legacy), .safetensors, and
// Lockstep's checkpoints. Nothing in a file is ever executed.
//
// Reading maps the file and understands its structure; a tensor's numbers are touched when they are
// copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.hpp"
#include "base/shape.hpp"

namespace lockstep {

// A tensor as it lies in its file. Checked: every element it names is inside its storage.
struct StoredTensor {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<int64_t> strides;            // in elements, one per axis
  const std::byte* data = nullptr;         // the first element, little-endian, of any alignment
  std::shared_ptr<const void> keep_alive;  // what `data` lies in

  // Writes all shape.numel() elements in row-major order, converted to float32.
  void copy_to(float* out) const;
  std::vector<float> floats() const;
};

// What a file of weights holds. Names are the model's: a prefix "module." of all of them is gone,
// as is the dictionary around them ("state_dict", "model", …).
struct Weights {
  std::string origin;  // the file, for messages
  std::map<std::string, StoredTensor, std::less<>> tensors;
  // Entries beside the tensors that are none, such as "_extra_state": nothing is done with them.
  std::vector<std::string> others;
  // A checkpoint of Lockstep says more; empty for other formats.
  std::vector<std::string> classes;
  std::string recipe;
};

// Tells the format by content. Throws Error{checkpoint} with file, place, what was found and
// expected.
Weights read_weights(const std::filesystem::path& path);

}  // namespace lockstep
