// The font is that of stb_easy_font, letters made of rectangles: no font file is needed.
// https://github.com/nothings/stb
#include "cli/canvas.hpp"

#include <png.h>
#include <stb/stb_easy_font.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/error.hpp"

namespace lockstep {
namespace {

struct Rectangle {
  int left, top, width, height;
};

// What the font can show: a character of several bytes in UTF-8 becomes one "?".
std::string printable(std::string_view line) {
  std::string text;
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    const bool goes_on = (byte & 0xC0) == 0x80;
    if (byte >= ' ' && byte <= '~') text += c;
    if ((byte < ' ' || byte > '~') && !goes_on) text += '?';
  }
  return text;
}

// The rectangles of a line of text, at scale 1.
std::vector<Rectangle> rectangles_of(std::string_view line) {
  struct Vertex {
    float x, y, z;
    uint8_t color[4];
  };
  constexpr size_t kMostPerCharacter = 32;  // rectangles; the widest letters have a dozen
  std::string text = printable(line);
  std::vector<Vertex> vertices(4 * kMostPerCharacter * (text.size() + 1));
  const int quads = stb_easy_font_print(0, 0, text.data(), nullptr, vertices.data(),
                                        static_cast<int>(vertices.size() * sizeof(Vertex)));
  std::vector<Rectangle> rectangles;
  const auto pixel = [](float x) { return static_cast<int>(std::lround(x)); };
  for (size_t i = 0; i < static_cast<size_t>(quads); ++i) {
    const Vertex &first = vertices[4 * i], &opposite = vertices[4 * i + 2];
    rectangles.push_back(
        {pixel(first.x), pixel(first.y), pixel(opposite.x - first.x), pixel(opposite.y - first.y)});
  }
  return rectangles;
}

}  // namespace

Canvas::Canvas(int width, int height, Rgb background) : width_(width), height_(height) {
  LS_ASSERT(width > 0 && height > 0);
  pixels_.resize(size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height));
  fill(0, 0, width, height, background);
}

void Canvas::fill(int left, int top, int width, int height, Rgb color) {
  const int right = std::min(left + width, width_), bottom = std::min(top + height, height_);
  for (int y = std::max(top, 0); y < bottom; ++y) {
    for (int x = std::max(left, 0); x < right; ++x)
      std::copy(color.begin(), color.end(), &pixels_[3 * (size_t(y) * size_t(width_) + size_t(x))]);
  }
}

void Canvas::text(std::string_view line, int left, int top, int scale, Rgb color) {
  for (const Rectangle& r : rectangles_of(line)) {
    fill(left + r.left * scale, top + r.top * scale, r.width * scale, r.height * scale, color);
  }
}

void Canvas::text_upwards(std::string_view line, int left, int bottom, int scale, Rgb color) {
  for (const Rectangle& r : rectangles_of(line)) {
    fill(left + r.top * scale, bottom - (r.left + r.width) * scale, r.height * scale,
         r.width * scale, color);
  }
}

int Canvas::text_width(std::string_view line, int scale) {
  return stb_easy_font_width(printable(line).data()) * scale;
}

void Canvas::write_png(const std::filesystem::path& path) const {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_);
  image.height = static_cast<png_uint_32>(height_);
  image.format = PNG_FORMAT_RGB;
  if (png_image_write_to_file(&image, path.c_str(), 0, pixels_.data(), 0, nullptr) != 0) return;
  fail(Failure::other, path.string(), ": cannot be written (", image.message,
       "); expected a place for a PNG file; make its folder or choose another");
}

}  // namespace lockstep
