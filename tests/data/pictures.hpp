// Pictures and what Pillow and torchvision make of them: tests/goldens/pictures.tsv.
#pragma once

#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "selftest/golden_values.hpp"

namespace lockstep::testing {

// A line of the table without its kind; the script that makes it says what the kinds mean.
struct PictureGolden {
  std::string input;
  std::string result;
};

inline std::vector<PictureGolden> picture_goldens(std::string_view kind) {
  std::vector<PictureGolden> goldens;
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/goldens/pictures.tsv");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string found;
    PictureGolden golden;
    std::getline(words, found, '\t');
    std::getline(words, golden.input, '\t');
    std::getline(words, golden.result, '\t');
    if (found == kind) goldens.push_back(golden);
  }
  return goldens;
}

template <size_t count>
std::array<int, count> numbers_in(const std::string& text) {
  std::array<int, count> numbers{};
  std::istringstream words(text);
  for (int& number : numbers) words >> number;
  return numbers;
}

// zlib's CRC-32 of all planes, in hexadecimal.
inline std::string crc_of(const Image& image) {
  uint32_t crc = ~0u;
  for (int64_t i = 0; i < image.bytes(); ++i) {
    crc ^= image.data()[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
  }
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%08x", ~crc);
  return text.data();
}

// Height, width and CRC, as the table has them.
inline std::string summary_of(const Image& image) {
  return concat(image.height, " ", image.width, " ", crc_of(image));
}

// Planes of noise that the script makes alike.
inline Image generated_picture(int channels, int height, int width) {
  Image image;
  image.resize(channels, height, width);
  const std::string name = concat("picture ", height, "x", width);
  for (int64_t i = 0; i < image.bytes(); ++i)
    image.data()[i] = static_cast<uint8_t>(golden_hash(name, static_cast<uint64_t>(i)));
  return image;
}

}  // namespace lockstep::testing
