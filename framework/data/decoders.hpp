// The decoders behind decode_picture, one per format, and what they share.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/dataset.hpp"

namespace lockstep {

using FileBytes = std::span<const uint8_t>;

// What a file says about its picture, as far as it tells which way is up.
struct PictureMetadata {
  std::string exif;  // a TIFF structure, perhaps after "Exif\0\0"
  std::string xmp;   // XML
};

// Into planes of (3, H, W). Throw Error{data} that says what was found, without the file's name.
// `metadata` is filled where it is not null.
void decode_jpeg(FileBytes file, int64_t max_pixels, Image& image, PictureMetadata* metadata);
void decode_png(FileBytes file, int64_t max_pixels, Image& image, PictureMetadata* metadata);

// Refuses a picture of no pixels or of too many, before memory is taken for it.
void check_extent(int64_t height, int64_t width, int64_t max_pixels);

// Rows of grey or of red, green, blue interleaved, into row y of the planes.
void write_grey_row(const uint8_t* row, int y, Image& image);
void write_rgb_row(const uint8_t* row, int y, Image& image);

}  // namespace lockstep
