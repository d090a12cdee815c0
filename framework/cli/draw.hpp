// Pictures for people: a photograph with what was predicted for it, and a confusion matrix. Both
// are PNG files; Error{other} where one cannot be written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "data/dataset.hpp"

namespace lockstep {

// Writes the picture (3, H, W), enlarged by a whole number to at least 224 pixels of width where
// its height allows, with the lines of text in a strip below it. The font has ASCII alone: another
// character becomes "?".
void draw_labels(const Image& rgb, std::span<const std::string> lines,
                 const std::filesystem::path& path);

// Where the cells of a matrix lie in its picture, in pixels: cell (row, column) is the square of
// `cell` pixels at (left + column * cell, top + row * cell).
struct MatrixLayout {
  int left = 0;
  int top = 0;
  int cell = 0;
  bool named = false;  // has the classes' names, and numbers where they fit: up to 100 classes
};
MatrixLayout matrix_layout(std::span<const std::string> class_names);

// Writes a confusion matrix: counts[truth * classes + prediction], one row per true class. The
// darker a cell, the larger its share of its row.
void draw_confusion_matrix(std::span<const int64_t> counts,
                           std::span<const std::string> class_names,
                           const std::filesystem::path& path);

}  // namespace lockstep
