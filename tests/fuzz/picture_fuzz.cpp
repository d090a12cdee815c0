// Any bytes are a picture or an Error: the JPEG and PNG decoders with EXIF orientation, for
// libFuzzer. Run with -detect_leaks=0 where ptrace is not allowed:
//
//   picture_fuzz -max_len=65536 -rss_limit_mb=1024 FOLDER tests/fuzz/corpus/picture
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/error.hpp"
#include "data/decode.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static lockstep::Image image;
  // A few bytes can say that a picture is large, which is slow and finds nothing.
  constexpr int64_t kMaxPixels = int64_t{1} << 20;
  try {
    lockstep::decode_picture(std::as_bytes(std::span(data, size)), "input", image,
                             {.max_pixels = kMaxPixels, .apply_exif_orientation = true});
  } catch (const lockstep::Error& error) {
    if (error.failure() != lockstep::Failure::data) std::abort();
    return 0;
  }
  const bool sound = image.channels == 3 && image.height > 0 && image.width > 0 &&
                     int64_t{image.height} * image.width <= kMaxPixels;
  if (!sound) std::abort();
  return 0;
}
