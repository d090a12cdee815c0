// PNG with libpng, as Pillow reads and converts it: the upper byte of 16-bit colours, 16-bit grey
// cut off at 255, transparency, gamma and colour profiles ignored. A wrong checksum in a chunk
// before the last row is refused.
#include <setjmp.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include <png.h>

#include "base/error.hpp"
#include "data/decoders.hpp"

namespace lockstep {
namespace {

constexpr png_uint_32 kMaxSide = 1 << 30;

// What libpng's callbacks share. They leave by longjmp, as libpng is C: between the setjmp of
// read_header() and read_pixels() and here lives no object with a destructor.
struct Reader {
  FileBytes rest;  // of the file
  png_structp png = nullptr;
  png_infop info = nullptr;
  jmp_buf leave{};
  bool truncated = false;
  char message[128] = "";

  explicit Reader(FileBytes file);
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::snprintf(reader->message, sizeof reader->message, "%s", message);
  longjmp(reader->leave, 1);
}
void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (count > reader->rest.size()) {
    reader->truncated = true;
    png_error(png, "the file ends");
  }
  std::copy_n(reader->rest.begin(), count, out);
  reader->rest = reader->rest.subspan(count);
}

Reader::Reader(FileBytes file) : rest(file) {}

// Keeps pixels as they are, but for what is not wanted: alpha, lower bytes, bits packed into bytes.
void set_conversions(Reader& r) {
  const int type = png_get_color_type(r.png, r.info), depth = png_get_bit_depth(r.png, r.info);
  if (type & PNG_COLOR_MASK_ALPHA) png_set_strip_alpha(r.png);
  if (type != PNG_COLOR_TYPE_GRAY && depth == 16) png_set_strip_16(r.png);
  if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(r.png);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_packing(r.png);
}

bool read_header(Reader& r, bool with_metadata) {
  if (setjmp(r.leave) != 0) return false;
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
  if (r.png != nullptr) r.info = png_create_info_struct(r.png);
  if (r.info == nullptr) return false;
  png_set_read_fn(r.png, &r, read_bytes);
  png_set_user_limits(r.png, kMaxSide, kMaxSide);
  png_set_crc_action(r.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_keep_unknown_chunks(r.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);  // texts and profiles
  if (with_metadata) {
    png_set_keep_unknown_chunks(r.png, PNG_HANDLE_CHUNK_AS_DEFAULT,
                                reinterpret_cast<png_const_bytep>("eXIf"), 1);
  }
  png_read_info(r.png, r.info);
  return true;
}

// Of a chunk before the pixels.
std::string exif_of(Reader& r) {
  png_bytep bytes = nullptr;
  png_uint_32 count = 0;
  if (png_get_eXIf_1(r.png, r.info, &count, &bytes) == 0) return {};
  return {reinterpret_cast<const char*>(bytes), count};
}

// Rows as libpng delivers them, written into the picture's planes.
class RowWriter {
 public:
  RowWriter(const Reader& r, Image& image)
      : image_(image),
        type_(png_get_color_type(r.png, r.info)),
        wide_(png_get_bit_depth(r.png, r.info) == 16) {
    png_colorp colors = nullptr;
    int count = 0;
    png_get_PLTE(r.png, r.info, &colors, &count);
    std::copy_n(colors, count, palette_);  // the colours after the last are black
  }

  void write(uint8_t* row, int y) const {
    if (type_ == PNG_COLOR_TYPE_PALETTE) return write_palette_row(row, y);
    if (type_ & PNG_COLOR_MASK_COLOR) return write_rgb_row(row, y, image_);
    if (type_ == PNG_COLOR_TYPE_GRAY && wide_) {
      for (int x = 0; x < image_.width; ++x) row[x] = row[2 * x] != 0 ? 255 : row[2 * x + 1];
    }
    write_grey_row(row, y, image_);
  }

 private:
  void write_palette_row(const uint8_t* row, int y) const {
    for (int x = 0; x < image_.width; ++x) {
      image_.row(0, y)[x] = palette_[row[x]].red;
      image_.row(1, y)[x] = palette_[row[x]].green;
      image_.row(2, y)[x] = palette_[row[x]].blue;
    }
  }

  Image& image_;
  int type_;
  bool wide_;
  png_color palette_[256]{};
};

// `rows` holds one row, or the whole picture where it is interlaced: its passes fill the same rows.
bool read_pixels(Reader& r, const RowWriter& writer, uint8_t* rows, size_t row_bytes, int height,
                 int passes) {
  if (setjmp(r.leave) != 0) return false;
  const size_t stride = passes == 1 ? 0 : row_bytes;
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < height; ++y) {
      uint8_t* row = rows + static_cast<size_t>(y) * stride;
      png_read_row(r.png, row, nullptr);
      if (pass == passes - 1) writer.write(row, y);
    }
  }
  return true;
}

void check(bool ok, const Reader& r) {
  if (ok) return;
  if (r.truncated)
    fail(Failure::data, "truncated PNG: the file ends before its last row; fetch it again");
  fail(Failure::data, "damaged PNG (", r.message, "); fetch it again or remove it");
}

}  // namespace

void decode_png(FileBytes file, int64_t max_pixels, Image& image, PictureMetadata* metadata) {
  thread_local std::vector<uint8_t> rows;
  Reader r(file);
  check(read_header(r, metadata != nullptr), r);
  if (metadata != nullptr) metadata->exif = exif_of(r);
  const png_uint_32 height = png_get_image_height(r.png, r.info);
  const png_uint_32 width = png_get_image_width(r.png, r.info);
  check_extent(height, width, max_pixels);
  const RowWriter writer(r, image);
  set_conversions(r);
  const int passes = png_set_interlace_handling(r.png);
  png_read_update_info(r.png, r.info);
  const size_t row_bytes = png_get_rowbytes(r.png, r.info);
  image.resize(3, static_cast<int>(height), static_cast<int>(width));
  rows.resize(passes == 1 ? row_bytes : row_bytes * height);
  check(read_pixels(r, writer, rows.data(), row_bytes, image.height, passes), r);
}

}  // namespace lockstep
