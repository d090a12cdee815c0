// Draws one 32x32 RGB picture of the `shapes` dataset: a shape at a random place, size and rotation
// in a random colour, on a gradient with a texture, among small distractors, under noise.
//
// Integers only, so that the pictures are equal bit for bit on every machine.
#pragma once

#include <array>
#include <string_view>

#include "base/random.hpp"
#include "data/dataset.hpp"

namespace lockstep::shapes {

inline constexpr int kSide = 32;
inline constexpr std::array<std::string_view, 10> kNames = {
    "circle", "ring",  "square",   "frame", "triangle",
    "star",   "cross", "crescent", "bars",  "hourglass"};

// Draws class `label` into image (3, 32, 32).
void render(int label, RandomStream random, Image& image);

}  // namespace lockstep::shapes
