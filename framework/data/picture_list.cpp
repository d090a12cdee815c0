#include "data/picture_list.hpp"

#include <algorithm>

#include "data/decode.hpp"
#include "data/resample.hpp"

namespace lockstep {
namespace {

// The largest window in the middle whose sides are as height : width.
Window middle(const Image& image, int64_t height, int64_t width) {
  const int64_t h = std::min<int64_t>(image.height, image.width * height / width);
  const int64_t w = std::min<int64_t>(image.width, image.height * width / height);
  const int rows = static_cast<int>(std::max<int64_t>(h, 1));
  const int columns = static_cast<int>(std::max<int64_t>(w, 1));
  return {(image.height - rows) / 2, (image.width - columns) / 2, rows, columns};
}

// Pillow's convert("L"): ITU-R 601-2 luma.
void make_gray(const Image& rgb, Image& gray) {
  gray.resize(1, rgb.height, rgb.width);
  const int64_t count = gray.bytes();
  const uint8_t* const r = rgb.data();
  for (int64_t i = 0; i < count; ++i) {
    const int sum = 19595 * r[i] + 38470 * r[count + i] + 7471 * r[2 * count + i];
    gray.data()[i] = static_cast<uint8_t>((sum + 0x8000) >> 16);
  }
}

}  // namespace

PictureList::PictureList(std::vector<std::string> files, bool upright)
    : files_(std::move(files)), upright_(upright), spec_{{3, 0, 0}, 1, {"?"}} {}

void PictureList::fit_to(const Shape& image) { spec_.image = image; }

void PictureList::decode(int64_t index, Image& image) const {
  decode_picture_file(sample_name(index), image, {.apply_exif_orientation = upright_});
}

int64_t PictureList::read(int64_t index, Image& image) const {
  try {
    decode(index, image);
  } catch (const Error& error) {
    const std::lock_guard lock(mutex_);
    errors_[index] = error.what();
    throw;
  }
  Image changed;
  const auto height = static_cast<int>(spec_.image[1]), width = static_cast<int>(spec_.image[2]);
  if (height > 0 && (image.height != height || image.width != width)) {
    resample(image, middle(image, height, width), height, width, changed);
    swap(image, changed);
  }
  if (spec_.image[0] == 1) {
    make_gray(image, changed);
    swap(image, changed);
  }
  return 0;
}

std::string PictureList::why_unreadable(int64_t index) const {
  const std::lock_guard lock(mutex_);
  const auto found = errors_.find(index);
  return found == errors_.end() ? "" : found->second;
}

}  // namespace lockstep
