// JPEG with libjpeg-turbo at Pillow's settings, which are the library's own: integer DCT (ISLOW)
// and fancy upsampling. As in Pillow's src/libImaging/JpegDecode.c warnings are ignored, a file
// that ends before its last row is refused, and four channels are taken as Adobe's inverted CMYK.
// https://github.com/python-pillow/Pillow
#include <setjmp.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include <jpeglib.h>

#include "base/error.hpp"
#include "data/decoders.hpp"

namespace lockstep {
namespace {

// A file with more scans was made to take long: libjpeg-turbo's own advice.
constexpr int kMaxScans = 500;
// EXIF and XMP data; a marker's length has 16 bits.
constexpr int kMetadataMarker = JPEG_APP0 + 1;
constexpr unsigned kMaxMarkerBytes = 0xFFFF;

enum class Outcome : uint8_t { done, truncated, damaged, too_many_scans };

// What libjpeg's callbacks share. They leave by longjmp, as libjpeg is C: between the setjmp of
// header() and pixels() and here lives no object with a destructor.
struct Decompressor {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  jmp_buf leave{};
  Outcome outcome = Outcome::done;
  char message[JMSG_LENGTH_MAX] = "";

  explicit Decompressor(FileBytes file);
  ~Decompressor() { jpeg_destroy_decompress(&info); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
};

[[noreturn]] void leave(j_common_ptr info, Outcome outcome) {
  auto* decompressor = static_cast<Decompressor*>(info->client_data);
  decompressor->outcome = outcome;
  longjmp(decompressor->leave, 1);
}

[[noreturn]] void on_error(j_common_ptr info) {
  info->err->format_message(info, static_cast<Decompressor*>(info->client_data)->message);
  leave(info, Outcome::damaged);
}
void on_warning(j_common_ptr, int) {}
void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans)
    leave(info, Outcome::too_many_scans);
}

// The source is the file in memory. Where it ends libjpeg is told to wait for more, and its
// functions return unfinished.
void begin_source(j_decompress_ptr) {}
boolean wait_for_more(j_decompress_ptr) { return FALSE; }
void skip_bytes(j_decompress_ptr info, long count) {
  const size_t skipped =
      std::min(static_cast<size_t>(std::max(count, 0L)), info->src->bytes_in_buffer);
  info->src->next_input_byte += skipped;
  info->src->bytes_in_buffer -= skipped;
}

Decompressor::Decompressor(FileBytes file) {
  info.err = jpeg_std_error(&errors);
  info.client_data = this;
  errors.error_exit = on_error;
  errors.emit_message = on_warning;
  source.next_input_byte = file.data();
  source.bytes_in_buffer = file.size();
  source.init_source = begin_source;
  source.fill_input_buffer = wait_for_more;
  source.skip_input_data = skip_bytes;
  source.resync_to_restart = jpeg_resync_to_restart;
  source.term_source = begin_source;
  progress.progress_monitor = on_progress;
}

Outcome read_header(Decompressor& d, bool with_metadata) {
  if (setjmp(d.leave) != 0) return d.outcome;
  jpeg_create_decompress(&d.info);
  d.info.src = &d.source;
  d.info.progress = &d.progress;
  if (with_metadata) jpeg_save_markers(&d.info, kMetadataMarker, kMaxMarkerBytes);
  if (jpeg_read_header(&d.info, TRUE) != JPEG_HEADER_OK) return Outcome::truncated;
  return Outcome::done;
}

// EXIF data may be cut into several markers.
PictureMetadata metadata_of(const Decompressor& d) {
  constexpr std::string_view kExif("Exif\0\0", 6), kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
  PictureMetadata metadata;
  for (jpeg_saved_marker_ptr m = d.info.marker_list; m != nullptr; m = m->next) {
    const std::string_view content(reinterpret_cast<const char*>(m->data), m->data_length);
    if (content.starts_with(kExif)) metadata.exif += content.substr(kExif.size());
    if (content.starts_with(kXmp)) metadata.xmp = content.substr(kXmp.size());
  }
  return metadata;
}

// Pillow's conversion from CMYK, of inverted values.
void write_inverted_cmyk_row(const uint8_t* row, int y, Image& image) {
  for (int c = 0; c < 3; ++c) {
    uint8_t* out = image.row(c, y);
    for (int x = 0; x < image.width; ++x) {
      const int key = row[4 * x + 3];
      const int product = (255 - row[4 * x + c]) * key + 128;
      out[x] = static_cast<uint8_t>(std::max(key - (((product >> 8) + product) >> 8), 0));
    }
  }
}

Outcome read_pixels(Decompressor& d, uint8_t* row, Image& image) {
  if (setjmp(d.leave) != 0) return d.outcome;
  if (!jpeg_start_decompress(&d.info)) return Outcome::truncated;
  const auto write = d.info.num_components == 1   ? write_grey_row
                     : d.info.num_components == 3 ? write_rgb_row
                                                  : write_inverted_cmyk_row;
  for (int y = 0; y < image.height; ++y) {
    if (jpeg_read_scanlines(&d.info, &row, 1) != 1) return Outcome::truncated;
    write(row, y, image);
  }
  jpeg_finish_decompress(&d.info);  // a missing end marker is forgiven, damage before it is not
  return Outcome::done;
}

void check(Outcome outcome, const Decompressor& d) {
  switch (outcome) {
    case Outcome::done:
      return;
    case Outcome::truncated:
      fail(Failure::data, "truncated JPEG: the file ends before its last row; fetch it again");
    case Outcome::damaged:
      fail(Failure::data, "damaged JPEG (", d.message, "); fetch it again or remove it");
    case Outcome::too_many_scans:
      fail(Failure::data, "a JPEG of more than ", kMaxScans, " scans; remove it");
  }
}

}  // namespace

void decode_jpeg(FileBytes file, int64_t max_pixels, Image& image, PictureMetadata* metadata) {
  thread_local std::vector<uint8_t> row;
  Decompressor d(file);
  check(read_header(d, metadata != nullptr), d);
  if (metadata != nullptr) *metadata = metadata_of(d);
  const int channels = d.info.num_components;
  if (channels != 1 && channels != 3 && channels != 4) {
    fail(Failure::data, "a JPEG of ", channels, " channels; expected 1, 3 or 4; convert it");
  }
  check_extent(d.info.image_height, d.info.image_width, max_pixels);
  d.info.out_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  image.resize(3, static_cast<int>(d.info.image_height), static_cast<int>(d.info.image_width));
  row.resize(static_cast<size_t>(image.width) * static_cast<size_t>(channels));
  check(read_pixels(d, row.data(), image), d);
}

}  // namespace lockstep
