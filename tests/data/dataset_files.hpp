// Small files in the formats of MNIST and CIFAR, sound ones and damaged ones.
#pragma once

#include "data/support.hpp"
#include "plugin/registry.hpp"

namespace lockstep::testing {

// An IDX file: magic, extents, then `content`.
inline Bytes idx_file(uint32_t magic, const std::vector<uint32_t>& extents, const Bytes& content) {
  Bytes file;
  const auto append = [&](uint32_t word) {
    for (int shift = 24; shift >= 0; shift -= 8)
      file.push_back(static_cast<uint8_t>(word >> shift));
  };
  append(magic);
  for (uint32_t extent : extents) append(extent);
  file.insert(file.end(), content.begin(), content.end());
  return file;
}

// `count` pictures; picture i consists of i.
inline Bytes idx_images(uint32_t count) {
  Bytes pixels;
  for (uint32_t i = 0; i < count; ++i)
    pixels.insert(pixels.end(), 28 * 28, static_cast<uint8_t>(i));
  return idx_file(0x803, {count, 28, 28}, pixels);
}
inline Bytes idx_labels(const Bytes& labels) {
  return idx_file(0x801, {static_cast<uint32_t>(labels.size())}, labels);
}

// CIFAR records with these classes; the pixels of record i are first + i. `superclasses`: a byte 19
// before the class.
inline Bytes cifar_file(const Bytes& labels, uint8_t first = 0, bool superclasses = false) {
  Bytes file;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (superclasses) file.push_back(19);
    file.push_back(labels[i]);
    file.insert(file.end(), 3072, static_cast<uint8_t>(first + i));
  }
  return file;
}

inline std::unique_ptr<Dataset> open_dataset(Registry& registry, std::string_view name,
                                             const std::string& path, Split split = Split::train) {
  const DatasetSource source{.split = split, .path = path, .seed = 1, .spec_only = false};
  return registry.find_dataset(name).make(source, {});
}

}  // namespace lockstep::testing
