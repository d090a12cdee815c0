#include "data/decode.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <vector>

#include "data/decoders.hpp"
#include "data/exif.hpp"
#include "plugin/plugin.hpp"

namespace lockstep {
namespace {

using namespace std::string_view_literals;

constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

struct Signature {
  std::string_view bytes;
  size_t offset;
  std::string_view format;
};

constexpr Signature kJpeg{"\xff\xd8\xff"sv, 0, "JPEG"};
constexpr Signature kPng{"\x89PNG\r\n\x1a\n"sv, 0, "PNG"};
constexpr Signature kOthers[] = {
    {"GIF8"sv, 0, "GIF"},     {"BM"sv, 0, "BMP"},         {"WEBP"sv, 8, "WebP"},
    {"II*\0"sv, 0, "TIFF"},   {"MM\0*"sv, 0, "TIFF"},     {"ftypavif"sv, 4, "AVIF"},
    {"ftyphei"sv, 4, "HEIF"}, {"ftypmif1"sv, 4, "HEIF"},  {"P5\n"sv, 0, "PGM"},
    {"P6\n"sv, 0, "PPM"},     {"8BPS"sv, 0, "Photoshop"}, {"\0\0\0\x0cjP"sv, 0, "JPEG 2000"},
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

// Refuses bytes that are neither JPEG nor PNG, by the name of their format where it is known.
[[noreturn]] void refuse_format(FileBytes file) {
  for (const Signature& other : kOthers) {
    if (!matches(file, other)) continue;
    fail(Failure::data, "a ", other.format, " picture; expected JPEG or PNG; convert or remove it");
  }
  fail(Failure::data, "not a picture that can be read; expected JPEG or PNG; remove the file");
}

void decode(FileBytes file, Image& image, const DecodeOptions& options) {
  if (file.empty()) fail(Failure::data, "the file is empty; expected a JPEG or PNG picture");
  PictureMetadata metadata;
  PictureMetadata* wanted = options.apply_exif_orientation ? &metadata : nullptr;
  if (matches(file, kJpeg)) {
    decode_jpeg(file, options.max_pixels, image, wanted);
  } else if (matches(file, kPng)) {
    decode_png(file, options.max_pixels, image, wanted);
  } else {
    refuse_format(file);
  }
  if (wanted != nullptr) make_upright(image, orientation_of(metadata));
}

// The bytes of a file, in memory that the thread keeps.
std::span<const std::byte> read_file(const std::string& path) {
  thread_local std::vector<std::byte> content;
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  const auto refuse = [&path] {
    fail(Failure::data, path, ": cannot be read: ", std::strerror(errno));
  };
  if (!file || std::fseek(file.get(), 0, SEEK_END) != 0) refuse();
  const int64_t bytes = std::ftell(file.get());
  if (bytes < 0 || std::fseek(file.get(), 0, SEEK_SET) != 0) refuse();
  if (bytes > kMaxFileBytes) {
    fail(Failure::data, path, ": a file of ", bytes, " bytes; expected at most ", kMaxFileBytes,
         "; remove it");
  }
  if (content.size() < static_cast<size_t>(bytes)) content.resize(static_cast<size_t>(bytes));
  errno = 0;
  if (std::fread(content.data(), 1, static_cast<size_t>(bytes), file.get()) !=
      static_cast<size_t>(bytes)) {
    refuse();
  }
  return {content.data(), static_cast<size_t>(bytes)};
}

}  // namespace

void decode_picture(std::span<const std::byte> file, std::string_view name, Image& image,
                    const DecodeOptions& options) {
  try {
    decode({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, image, options);
  } catch (Error& e) {
    e.add_context(name);
    throw;
  }
}

void decode_picture_file(const std::string& path, Image& image, const DecodeOptions& options) {
  decode_picture(read_file(path), path, image, options);
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
