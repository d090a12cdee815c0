// Pictures from the bytes of a file, as Pillow's convert("RGB") gives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/dataset.hpp"

namespace lockstep {

struct DecodeOptions {
  int64_t max_pixels = 178956970;  // Pillow's limit
  // Turns the picture as its EXIF orientation says, as Pillow's ImageOps.exif_transpose does. Left
  // as it is otherwise, as torchvision's datasets leave it.
  bool apply_exif_orientation = false;
};

// Decodes a JPEG or PNG file, told by its content, into planes of (3, H, W); of an animated PNG the
// first picture. What Pillow refuses is refused: bytes of another format, damaged or truncated
// ones, or more than max_pixels pixels throw Error{data} that says what was found, after `name`.
// Any thread; memory is bounded by the picture's size.
void decode_picture(std::span<const std::byte> file, std::string_view name, Image& image,
                    const DecodeOptions& options = {});

// Reads and decodes a file, whose path is its name in errors. Any thread; what is read goes into
// memory that the thread keeps.
void decode_picture_file(const std::string& path, Image& image, const DecodeOptions& options = {});

}  // namespace lockstep
