// Coordinates are 1/16 pixel; in a shape's own frame its radius is 1024. Rotations are rational
// points of the circle,
// ((1 - t²), 2t) / (1 + t²), which need no sine.
#include "render.hpp"

#include <algorithm>
#include <cstdlib>

namespace lockstep::shapes {
namespace {

enum Class { circle, ring, square, frame, triangle, star, cross, crescent, bars, hourglass };

using Colour = std::array<int, 3>;

int draw(RandomStream& random, int low, int high) {  // both ends included
  return low + static_cast<int>(random.below(static_cast<uint64_t>(high - low + 1)));
}

// Whether (u, v) in the shape's own frame lies in it.
bool inside(int label, int u, int v) {
  const int au = std::abs(u), av = std::abs(v);
  const int far = std::max(au, av);
  const int squared = u * u + v * v;
  switch (label) {
    case circle:
      return squared <= 940 * 940;
    case ring:
      return squared <= 1024 * 1024 && squared >= 620 * 620;
    case square:
      return far <= 830;
    case frame:
      return far <= 900 && far >= 530;
    case triangle: {
      constexpr int kReach = 600 * 1024;  // distance of the sides, times the normals' length
      return 1024 * v <= kReach && 887 * au - 512 * v <= kReach;
    }
    case star: {
      // A pentagram is where at least four of its five lines have the point on their inner side.
      constexpr int kReach = 400 * 1024;
      const int outer = (-1024 * v > kReach) + (974 * u - 316 * v > kReach) +
                        (-974 * u - 316 * v > kReach) + (602 * u + 828 * v > kReach) +
                        (-602 * u + 828 * v > kReach);
      return outer <= 1;
    }
    case cross:
      return far <= 1024 && std::min(au, av) <= 300;
    case crescent:
      return squared <= 1024 * 1024 && (u - 450) * (u - 450) + v * v >= 760 * 760;
    case bars:
      return au <= 900 && av >= 260 && av <= 760;
    case hourglass:
      return au <= 900 && av <= au;
  }
  return false;
}

struct Placement {
  int x, y;          // centre, 1/16 pixel
  int radius;        // 1/16 pixel
  int cosine, sine;  // times 4096
};

Placement place(RandomStream& random, int least_radius, int most_radius) {
  Placement p;
  p.radius = draw(random, least_radius, most_radius);
  // Most of the shape stays within the picture.
  const int margin = p.radius * 7 / 8;
  p.x = draw(random, margin, 16 * kSide - margin);
  p.y = draw(random, margin, 16 * kSide - margin);
  const int t = draw(random, -70, 70);  // up to 31 degrees either way
  p.cosine = 4096 * (65536 - t * t) / (65536 + t * t);
  p.sine = 4096 * (512 * t) / (65536 + t * t);
  return p;
}

// Blends the colour over the picture where the shape covers it; four samples per pixel smooth its
// edge.
void fill(Image& image, int label, const Placement& p, const Colour& colour) {
  const int reach =
      p.radius * 5 / 4 + 16;  // the triangle's and the star's corners lie beyond the radius
  const auto pixel = [](int place) { return std::clamp(place / 16, 0, kSide - 1); };
  const int c = p.cosine * 1024 / p.radius, s = p.sine * 1024 / p.radius;
  for (int y = pixel(p.y - reach); y <= pixel(p.y + reach); ++y) {
    for (int x = pixel(p.x - reach); x <= pixel(p.x + reach); ++x) {
      int covered = 0;
      for (int sample = 0; sample < 4; ++sample) {
        const int dx = 16 * x + 4 + 8 * (sample & 1) - p.x;
        const int dy = 16 * y + 4 + 8 * (sample >> 1) - p.y;
        covered += inside(label, (c * dx + s * dy) >> 12, (c * dy - s * dx) >> 12);
      }
      if (covered == 0) continue;
      for (int channel = 0; channel < 3; ++channel) {
        uint8_t& value = image.row(channel, y)[x];
        value = static_cast<uint8_t>((value * (4 - covered) + colour[channel] * covered) / 4);
      }
    }
  }
}

// A linear gradient of random direction between two similar colours, with stripes or a checkerboard
// over it.
Colour fill_background(Image& image, RandomStream& random) {
  Colour base, slope_x, slope_y;
  for (int channel = 0; channel < 3; ++channel) {
    base[channel] = draw(random, 0, 127);
    slope_x[channel] = draw(random, -24, 24);  // 1/16 per pixel
    slope_y[channel] = draw(random, -24, 24);
  }
  const int texture = draw(random, 0, 2);
  const int step_x = draw(random, -12, 12), step_y = draw(random, -12, 12);
  const int amplitude = draw(random, 0, 14);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const int phase_x = (x * step_x + y * step_y) / 32 & 1;
      const int phase_y = (y * step_x - x * step_y) / 32 & 1;
      const int sign = texture == 0   ? 0
                       : texture == 1 ? 2 * phase_x - 1
                                      : 2 * (phase_x ^ phase_y) - 1;
      for (int channel = 0; channel < 3; ++channel) {
        const int slope = slope_x[channel] * (x - kSide / 2) + slope_y[channel] * (y - kSide / 2);
        image.row(channel, y)[x] =
            static_cast<uint8_t>(std::clamp(base[channel] + slope / 16 + sign * amplitude, 0, 255));
      }
    }
  }
  return base;
}

// A colour that is visibly brighter than the background.
Colour brighter_colour(const Colour& background, int least_difference, RandomStream& random) {
  while (true) {
    Colour colour;
    int difference = 0;
    for (int channel = 0; channel < 3; ++channel) {
      colour[channel] = draw(random, 0, 255);
      difference += colour[channel] - background[channel];
    }
    if (difference >= least_difference) return colour;
  }
}

void add_noise(Image& image, int amplitude, RandomStream& random) {
  uint8_t* pixels = image.data();
  for (int64_t i = 0; i < image.bytes(); i += 4) {
    uint32_t word = random.next();
    for (int k = 0; k < 4; ++k, word >>= 8) {
      const int noise = (static_cast<int>(word & 255) * (2 * amplitude + 1) >> 8) - amplitude;
      pixels[i + k] = static_cast<uint8_t>(std::clamp(pixels[i + k] + noise, 0, 255));
    }
  }
}

}  // namespace

void render(int label, RandomStream random, Image& image) {
  image.resize(3, kSide, kSide);
  const Colour background = fill_background(image, random);
  for (int distractors = draw(random, 0, 4); distractors > 0; --distractors) {
    const int kind = draw(random, circle, hourglass);
    const Placement placement = place(random, 20, 36);
    fill(image, kind, placement, brighter_colour(background, 110, random));
  }
  const Placement placement = place(random, 112, 192);
  fill(image, label, placement, brighter_colour(background, 190, random));
  add_noise(image, draw(random, 4, 24), random);
}

}  // namespace lockstep::shapes
