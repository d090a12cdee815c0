// The small files of weights in the tree, and reading bytes as if they were a file.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "weights/formats.hpp"

namespace lockstep::testing {

inline std::filesystem::path weight_file(const std::string& name) {
  return std::filesystem::path(LOCKSTEP_SOURCE_DIR) / "tests/weights/files" / name;
}

inline std::vector<std::filesystem::path> all_weight_files() {
  std::vector<std::filesystem::path> files;
  for (const auto& item : std::filesystem::directory_iterator(weight_file(""))) {
    if (item.path().extension() != ".tsv") files.push_back(item.path());
  }
  return files;
}

inline std::string bytes_of_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// In a block of exactly their size, so that a sanitizer sees every step outside.
inline FileBytes file_bytes(const std::string& bytes) {
  const auto memory = std::make_shared<char[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(memory.get(), bytes.data(), bytes.size());
  return {{memory.get(), bytes.size()}, memory};
}

inline Weights read_bytes(const std::string& bytes) { return read_weights_in(file_bytes(bytes)); }

// A little-endian number of `width` bytes.
inline std::string number(uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

}  // namespace lockstep::testing
