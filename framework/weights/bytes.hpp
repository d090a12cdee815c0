// Bytes of a file, and how the readers of weights take numbers from them without ever leaving them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace lockstep {

// Bytes and what keeps them alive.
struct FileBytes {
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};

// Maps a regular file for reading. Its pages are read when they are touched. A file that another
// program shortens meanwhile ends the process with SIGBUS, as for every mapping; to read files into
// memory first takes twice as long. Throws Error{checkpoint}.
FileBytes map_file(const std::filesystem::path& path);

// Text out of a file for a message: at most 80 bytes, printable ASCII.
std::string shown(std::string_view text);

// Reads little-endian numbers one after the other. Past the end it throws Error{checkpoint}:
// "WHAT, byte N: ends within …".
class ByteReader {
 public:
  ByteReader(std::string_view bytes, std::string_view what, size_t at = 0)
      : bytes_(bytes), what_(what), at_(at) {}

  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }

  std::string_view take(uint64_t count) {
    if (count > left()) {
      fail_here("the file ends ", count - left(), " bytes too early; it is truncated or damaged");
    }
    const std::string_view taken = bytes_.substr(at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return taken;
  }
  void skip(uint64_t count) { take(count); }

  // An unsigned number of `width` bytes, at most 8.
  uint64_t number(int width) {
    uint64_t value = 0;
    const std::string_view digits = take(static_cast<uint64_t>(width));
    for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(digits[i]);
    return value;
  }
  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint32_t u32() { return static_cast<uint32_t>(number(4)); }
  uint64_t u64() { return number(8); }

  template <class... Parts>
  [[noreturn]] void fail_here(const Parts&... parts) const {
    fail(Failure::checkpoint, what_, ", byte ", at_, ": ", parts...);
  }

 private:
  std::string_view bytes_;
  std::string_view what_;
  size_t at_;
};

}  // namespace lockstep
