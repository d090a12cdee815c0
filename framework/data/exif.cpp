// EXIF is a TIFF structure: "II" or "MM" for its byte order, 42, the place of a directory of
// entries of 12 bytes (tag, type, count, value or its place). Exif 2.3 (CIPA DC-008), section
// 4.6; damage is taken as Pillow's TiffImagePlugin takes it.
#include "data/exif.hpp"

#include <optional>
#include <string_view>

namespace lockstep {
namespace {

using namespace std::string_view_literals;

constexpr uint32_t kOrientation = 0x0112;
constexpr uint32_t kEntryBytes = 12;
enum : uint32_t { kShort = 3, kLong = 4 };

// Bytes of one value of TIFF's types, from type 1 on; IFD (13) is a LONG.
constexpr uint32_t kValueBytes[] = {1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};

class TiffReader {
 public:
  explicit TiffReader(std::string_view bytes) : bytes_(bytes) {}

  bool has_header() {
    big_endian_ = bytes_.starts_with("MM"sv);
    return bytes_.size() >= 8 && (big_endian_ || bytes_.starts_with("II"sv));
  }
  bool holds(uint64_t offset, uint64_t count) const {
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }
  uint32_t number(uint64_t offset, int bytes) const {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i) {
      const int from = big_endian_ ? i : bytes - 1 - i;
      value = value << 8 | static_cast<uint8_t>(bytes_[offset + static_cast<uint64_t>(from)]);
    }
    return value;
  }
  uint64_t size() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
  bool big_endian_ = false;
};

std::string_view without_prefix(std::string_view exif) {
  constexpr std::string_view kPrefix = "Exif\0\0"sv;
  for (int i = 0; i < 2 && exif.starts_with(kPrefix); ++i) exif.remove_prefix(kPrefix.size());
  return exif;
}

// The orientation's first value; none where it is missing. Values of other entries that lie beyond
// the end stop the reading, those larger than all there is are passed over.
std::optional<uint32_t> find_orientation(std::string_view exif) {
  TiffReader tiff(without_prefix(exif));
  if (!tiff.has_header()) return {};
  uint64_t at = tiff.number(4, 4);
  if (!tiff.holds(at, 2)) return {};
  const uint32_t entries = tiff.number(at, 2);
  at += 2;
  uint64_t values_bytes = 0;
  for (uint32_t i = 0; i < entries && tiff.holds(at, kEntryBytes); ++i, at += kEntryBytes) {
    const uint32_t tag = tiff.number(at, 2), type = tiff.number(at + 2, 2);
    const uint64_t count = tiff.number(at + 4, 4);
    if (type < 1 || type > std::size(kValueBytes)) continue;
    const uint64_t bytes = count * kValueBytes[type - 1];
    uint64_t value = at + 8;
    if (bytes > 4) {
      values_bytes += bytes;
      if (values_bytes > tiff.size()) continue;
      value = tiff.number(value, 4);
      if (!tiff.holds(value, bytes)) return {};
    }
    if (tag != kOrientation || bytes == 0) continue;
    if (type != kShort && type != kLong) return 1;
    return tiff.number(value, type == kShort ? 2 : 4);
  }
  return {};
}

// The digit in tiff:Orientation="6" or <tiff:Orientation>6<.
std::optional<uint32_t> find_orientation_in_xmp(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (size_t at = xmp.find(kName); at != xmp.npos; at = xmp.find(kName, at + 1)) {
    std::string_view rest = xmp.substr(at + kName.size());
    const size_t sign = rest.starts_with("=\""sv) ? 2 : rest.starts_with(">"sv) ? 1 : 0;
    rest.remove_prefix(sign);
    if (sign > 0 && !rest.empty() && rest[0] >= '0' && rest[0] <= '9')
      return static_cast<uint32_t>(rest[0] - '0');
  }
  return {};
}

}  // namespace

int orientation_of(const PictureMetadata& metadata) {
  std::optional<uint32_t> found = find_orientation(metadata.exif);
  if (!found) found = find_orientation_in_xmp(metadata.xmp);
  return found && *found >= 1 && *found <= 8 ? static_cast<int>(*found) : 1;
}

void make_upright(Image& image, int orientation) {
  if (orientation == 1) return;
  LS_ASSERT(orientation >= 2 && orientation <= 8);
  const bool transposed = orientation >= 5;
  const bool from_below =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool from_right =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  thread_local Image upright;
  upright.resize(image.channels, transposed ? image.width : image.height,
                 transposed ? image.height : image.width);
  for (int c = 0; c < upright.channels; ++c) {
    for (int y = 0; y < upright.height; ++y) {
      uint8_t* row = upright.row(c, y);
      for (int x = 0; x < upright.width; ++x) {
        const int stored_y = transposed ? x : y, stored_x = transposed ? y : x;
        row[x] =
            image.row(c, from_below ? image.height - 1 - stored_y
                                    : stored_y)[from_right ? image.width - 1 - stored_x : stored_x];
      }
    }
  }
  swap(image, upright);
}

}  // namespace lockstep
