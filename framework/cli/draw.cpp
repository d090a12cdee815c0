#include "cli/draw.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "cli/canvas.hpp"

namespace lockstep {
namespace {

constexpr Rgb kWhite = {255, 255, 255};
constexpr Rgb kBlack = {0, 0, 0};
constexpr Rgb kGrey = {200, 200, 200};
constexpr Rgb kFull = {8, 48, 107};  // of a cell with its whole row
constexpr int kLeastWidth = 224;
constexpr int kMostSide = 16384;
constexpr int kMargin = 6;

constexpr size_t kMostNamed = 100;          // classes whose names are written
constexpr size_t kMostLetters = 24;         // of a name
constexpr int kHeatMapSide = 1000;          // of a matrix without names, about
constexpr int kCell = 44, kSmallCell = 22;  // of few classes, and of more than this:
constexpr size_t kFewClasses = 24;

void paste(const Image& picture, int factor, int left, Canvas& canvas) {
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      const Rgb color = {picture.row(0, y)[x], picture.row(1, y)[x], picture.row(2, y)[x]};
      canvas.fill(left + x * factor, y * factor, factor, factor, color);
    }
  }
}

int widest(std::span<const std::string> lines, int scale) {
  int width = 0;
  for (const std::string& line : lines) width = std::max(width, Canvas::text_width(line, scale));
  return width;
}

std::vector<std::string> short_names(std::span<const std::string> names) {
  std::vector<std::string> result(names.begin(), names.end());
  for (std::string& name : result) {
    if (name.size() > kMostLetters) name = name.substr(0, kMostLetters - 2) + "..";
  }
  return result;
}

Rgb color_of_share(double share) {
  Rgb color{};
  for (size_t i = 0; i < 3; ++i)
    color[i] = static_cast<uint8_t>(std::lround(255 + (kFull[i] - 255) * share));
  return color;
}

void draw_cells(std::span<const int64_t> counts, size_t classes, const MatrixLayout& layout,
                Canvas& canvas) {
  for (size_t row = 0; row < classes; ++row) {
    const auto cells = counts.subspan(row * classes, classes);
    const int64_t sum = std::accumulate(cells.begin(), cells.end(), int64_t{0});
    for (size_t column = 0; column < classes; ++column) {
      const double share =
          sum > 0 ? static_cast<double>(cells[column]) / static_cast<double>(sum) : 0;
      const int left = layout.left + static_cast<int>(column) * layout.cell;
      const int top = layout.top + static_cast<int>(row) * layout.cell;
      canvas.fill(left, top, layout.cell, layout.cell, color_of_share(share));
      const std::string number = std::to_string(cells[column]);
      const int width = Canvas::text_width(number, 1);
      if (!layout.named || cells[column] == 0 || width > layout.cell - 2) continue;
      canvas.text(number, left + (layout.cell - width) / 2,
                  top + (layout.cell - Canvas::kLineHeight) / 2 + 2, 1,
                  share > 0.5 ? kWhite : kBlack);
    }
  }
}

void draw_names(std::span<const std::string> names, const MatrixLayout& layout, Canvas& canvas) {
  const int side = static_cast<int>(names.size()) * layout.cell;
  for (size_t i = 0; i < names.size(); ++i) {
    const int begin = static_cast<int>(i) * layout.cell;
    const int middle = begin + (layout.cell - Canvas::kLineHeight) / 2 + 2;
    canvas.text(names[i], layout.left - kMargin - Canvas::text_width(names[i], 1),
                layout.top + middle, 1, kBlack);
    canvas.text_upwards(names[i], layout.left + middle,
                        layout.top + side + kMargin + Canvas::text_width(names[i], 1), 1, kBlack);
  }
}

void draw_grid(size_t classes, const MatrixLayout& layout, Canvas& canvas) {
  const int side = static_cast<int>(classes) * layout.cell;
  for (size_t i = 0; i <= classes; i += layout.named ? 1 : classes) {
    const int at = static_cast<int>(i) * layout.cell;
    canvas.fill(layout.left + at, layout.top, 1, side, kGrey);
    canvas.fill(layout.left, layout.top + at, side, 1, kGrey);
  }
}

}  // namespace

void draw_labels(const Image& rgb, std::span<const std::string> lines,
                 const std::filesystem::path& path) {
  LS_ASSERT(rgb.channels == 3 && rgb.height > 0 && rgb.width > 0);
  const int enlarged = (kLeastWidth + rgb.width - 1) / rgb.width;
  const int factor = std::clamp(kMostSide / rgb.height, 1, std::max(enlarged, 1));
  const int picture_width = rgb.width * factor;
  // Letters grow with the picture: about 35 to a line.
  const int scale = std::max(picture_width / kLeastWidth, 1);
  const int margin = kMargin * scale;
  const int width = std::max({picture_width, kLeastWidth, widest(lines, scale) + 2 * margin});
  const int line_height = Canvas::kLineHeight * scale;
  const int strip = lines.empty() ? 0 : 2 * margin + static_cast<int>(lines.size()) * line_height;
  Canvas canvas(width, rgb.height * factor + strip, kWhite);
  paste(rgb, factor, (width - picture_width) / 2, canvas);
  for (size_t i = 0; i < lines.size(); ++i) {
    const int top = rgb.height * factor + margin + static_cast<int>(i) * line_height;
    canvas.text(lines[i], margin, top, scale, kBlack);
  }
  canvas.write_png(path);
}

MatrixLayout matrix_layout(std::span<const std::string> class_names) {
  const size_t classes = class_names.size();
  const int top = 2 * kMargin + 2 * Canvas::kLineHeight;
  if (classes > kMostNamed) {
    const int cell = std::max(kHeatMapSide / static_cast<int>(classes), 1);
    return {.left = kMargin, .top = top, .cell = cell, .named = false};
  }
  return {.left = 2 * kMargin + widest(short_names(class_names), 1),
          .top = top,
          .cell = classes > kFewClasses ? kSmallCell : kCell,
          .named = true};
}

void draw_confusion_matrix(std::span<const int64_t> counts,
                           std::span<const std::string> class_names,
                           const std::filesystem::path& path) {
  const size_t classes = class_names.size();
  LS_ASSERT(classes > 0 && counts.size() == classes * classes);
  const MatrixLayout layout = matrix_layout(class_names);
  const std::vector<std::string> names = short_names(class_names);
  int64_t hits = 0;
  for (size_t k = 0; k < classes; ++k) hits += counts[k * classes + k];
  const std::vector<std::string> title = {
      concat(hits, " of ", std::accumulate(counts.begin(), counts.end(), int64_t{0}), " right"),
      "rows: the true class; columns: the predicted one; dark: a large share of the row"};

  const int side = static_cast<int>(classes) * layout.cell;
  const int below = layout.named ? kMargin + widest(names, 1) : 0;
  Canvas canvas(std::max(layout.left + side, widest(title, 1) + kMargin) + kMargin,
                layout.top + side + below + kMargin, kWhite);
  canvas.text(title[0], kMargin, kMargin, 1, kBlack);
  canvas.text(title[1], kMargin, kMargin + Canvas::kLineHeight, 1, kBlack);
  draw_cells(counts, classes, layout, canvas);
  draw_grid(classes, layout, canvas);
  if (layout.named) draw_names(names, layout, canvas);
  canvas.write_png(path);
}

}  // namespace lockstep
