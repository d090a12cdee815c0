// Pictures from the bytes of a file, as Pillow's convert("RGB") gives them.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/dataset.hpp"

namespace lockstep {

using FileBytes = std::span<const uint8_t>;

// Decodes a JPEG or PNG file, told by its content, into planes of (3, H, W). What Pillow refuses is
// refused: bytes of another format, damaged or truncated ones, or more than max_pixels pixels throw
// Error{data} that says what was found; the caller adds the file's name. Any thread; memory is
// bounded by the picture's size.
void decode_picture(FileBytes file, int64_t max_pixels, Image& image);

// The decoders behind it.
void decode_jpeg(FileBytes file, int64_t max_pixels, Image& image);
void decode_png(FileBytes file, int64_t max_pixels, Image& image);

// Refuses a picture of no pixels or of too many, before memory is taken for it.
void check_extent(int64_t height, int64_t width, int64_t max_pixels);

// Rows of grey or of red, green, blue interleaved, into row y of the planes.
void write_grey_row(const uint8_t* row, int y, Image& image);
void write_rgb_row(const uint8_t* row, int y, Image& image);

}  // namespace lockstep
