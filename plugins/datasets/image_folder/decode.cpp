#include "decode.hpp"

#include <lockstep/plugin.hpp>

#include <algorithm>
#include <string_view>

namespace lockstep {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view bytes;
  size_t offset;
  std::string_view format;
};

constexpr Signature kJpeg{"\xff\xd8\xff"sv, 0, "JPEG"};
constexpr Signature kPng{"\x89PNG\r\n\x1a\n"sv, 0, "PNG"};
constexpr Signature kOthers[] = {
    {"GIF8"sv, 0, "GIF"},     {"BM"sv, 0, "BMP"},
    {"WEBP"sv, 8, "WebP"},    {"II*\0"sv, 0, "TIFF"},
    {"MM\0*"sv, 0, "TIFF"},   {"ftypavif"sv, 4, "AVIF"},
    {"ftyphei"sv, 4, "HEIF"}, {"\0\0\0\x0cjP"sv, 0, "JPEG 2000"},
};

bool matches(FileBytes file, const Signature& signature) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  return text.size() >= signature.offset &&
         text.substr(signature.offset).starts_with(signature.bytes);
}

LOCKSTEP_CLONES void split_rgb(const uint8_t* row, int width, uint8_t* r, uint8_t* g, uint8_t* b) {
  for (int x = 0; x < width; ++x) {
    r[x] = row[3 * x];
    g[x] = row[3 * x + 1];
    b[x] = row[3 * x + 2];
  }
}

}  // namespace

void decode_picture(FileBytes file, int64_t max_pixels, Image& image) {
  if (file.empty()) fail(Failure::data, "the file is empty; expected a JPEG or PNG picture");
  if (matches(file, kJpeg)) return decode_jpeg(file, max_pixels, image);
  if (matches(file, kPng)) return decode_png(file, max_pixels, image);
  for (const Signature& other : kOthers) {
    if (!matches(file, other)) continue;
    fail(Failure::data, "a ", other.format, " picture; expected JPEG or PNG; convert or remove it");
  }
  fail(Failure::data, "not a picture that can be read; expected JPEG or PNG; remove the file");
}

void check_extent(int64_t height, int64_t width, int64_t max_pixels) {
  if (height > 0 && width > 0 && height <= max_pixels / width) return;
  fail(Failure::data, "the picture is ", height, " x ", width, " pixels; expected 1 to ",
       max_pixels, " (max_pixels); scale it down or remove the file");
}

void write_grey_row(const uint8_t* row, int y, Image& image) {
  for (int c = 0; c < 3; ++c) std::memcpy(image.row(c, y), row, static_cast<size_t>(image.width));
}

void write_rgb_row(const uint8_t* row, int y, Image& image) {
  split_rgb(row, image.width, image.row(0, y), image.row(1, y), image.row(2, y));
}

}  // namespace lockstep
