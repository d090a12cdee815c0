// class_indices.json: {"0": "name of class 0", …}, or Keras' {"0": ["n01440764", "tench"], …}.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

std::string class_indices_json(std::span<const std::string> names);

// The names in the order of their indices, which must be 0, 1, …. Throws Error{data} with file and
// place.
std::vector<std::string> read_class_indices(const std::filesystem::path& path);

// For weights that do not say: ImageNet's names where there are 1,000 classes, else "0", "1", ….
std::vector<std::string> default_class_names(int64_t classes);

}  // namespace lockstep
