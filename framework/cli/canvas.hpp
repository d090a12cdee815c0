// A picture to draw rectangles and plain text into, and to write as PNG.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace lockstep {

using Rgb = std::array<uint8_t, 3>;

class Canvas {
 public:
  // Height of a line of text at scale 1, in pixels.
  static constexpr int kLineHeight = 12;

  Canvas(int width, int height, Rgb background);

  int width() const { return width_; }
  int height() const { return height_; }
  // What lies outside of the picture is cut off; likewise below.
  void fill(int left, int top, int width, int height, Rgb color);
  // The upper left corner is (left, top); every pixel of the font becomes scale x scale of them.
  // The font has ASCII alone: another character becomes "?".
  void text(std::string_view line, int left, int top, int scale, Rgb color);
  // Upwards, as along the axis of a plot: the lower left corner is (left, bottom).
  void text_upwards(std::string_view line, int left, int bottom, int scale, Rgb color);
  static int text_width(std::string_view line, int scale);

  // Throws Error{other} where the file cannot be written.
  void write_png(const std::filesystem::path& path) const;

 private:
  int width_, height_;
  std::vector<uint8_t> pixels_;  // (H, W, 3)
};

}  // namespace lockstep
