// Random brightness, contrast, saturation and hue, in random order: torchvision's
// ColorJitter(brightness, contrast, saturation, hue) of a PIL picture, with the rounding of
// Pillow's src/libImaging/Blend.c and Convert.c (https://github.com/python-pillow/Pillow).
#include <lockstep/plugin.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace {
using namespace lockstep;

// How much to change something, as it is given: one number, or a least and a largest factor.
struct Amount {
  std::vector<double> numbers{0};
};

}  // namespace

namespace lockstep::detail {

template <>
struct OptionCodec<Amount> {
  static std::string type() { return "float or [least, most]"; }
  static void read(Amount& out, const Setting& setting) {
    if (std::holds_alternative<Setting::Array>(setting.value)) {
      out.numbers.clear();
      for (const Setting& number : read_array(setting, 2))
        out.numbers.push_back(read_number(number));
    } else {
      out.numbers = {read_number(setting)};
    }
  }
  static Setting write(const Amount& amount) {
    if (amount.numbers.size() == 1) return {amount.numbers[0], {}};
    return {Setting::Array{{amount.numbers[0], {}}, {amount.numbers[1], {}}}, {}};
  }
};

}  // namespace lockstep::detail

namespace {

struct ColorJitterOptions {
  Amount brightness, contrast, saturation, hue;
};
void describe(Options<ColorJitterOptions>& o) {
  using J = ColorJitterOptions;
  o("brightness", &J::brightness,
    "b: a factor between max(0, 1 - b) and 1 + b; or between the two numbers given");
  o("contrast", &J::contrast, "likewise, from 0: a uniform grey of the mean brightness");
  o("saturation", &J::saturation, "likewise, from 0: grey");
  o("hue", &J::hue, "h: a turn between -h and h of the colour circle, h at most 0.5; or two turns");
}

// From which a factor is drawn; none where nothing is to change.
using Range = std::optional<std::array<double, 2>>;

// torchvision's ColorJitter._check_input. `neutral` is the factor that changes nothing.
Range make_range(const char* name, const Amount& amount, double neutral, double least,
                 double most) {
  const std::vector<double>& n = amount.numbers;
  std::array<double, 2> range{};
  if (n.size() == 2) {
    range = {n[0], n[1]};
  } else if (n[0] >= 0) {
    range = {neutral - n[0], neutral + n[0]};
    if (neutral == 1) range[0] = std::max(range[0], 0.0);
  }
  if ((n.size() == 1 && n[0] < 0) || range[0] < least || range[1] > most || range[0] > range[1]) {
    fail(Failure::usage, "color_jitter: ", name, " is ",
         detail::OptionCodec<Amount>::write(amount).text(), "; expected ",
         neutral == 1 ? "a number of at least 0, or two in ascending order"
                      : "a number between 0 and 0.5, or two between -0.5 and 0.5 in ascending "
                        "order");
  }
  if (range[0] == neutral && range[1] == neutral) return {};
  return range;
}

// Pillow's Image.blend: from + factor * (to - from) in float, cut off to a byte.
uint8_t blend(uint8_t from, uint8_t to, float factor) {
  const float value = static_cast<float>(from) + factor * static_cast<float>(int{to} - int{from});
  return static_cast<uint8_t>(std::clamp(value, 0.0f, 255.0f));
}

void blend_all(uint8_t from, float factor, Image& image) {
  std::array<uint8_t, 256> table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = blend(from, static_cast<uint8_t>(i), factor);
  for (int64_t i = 0; i < image.bytes(); ++i) image.data()[i] = table[image.data()[i]];
}

// ITU-R 601's luma with weights of 16 bits, as Pillow's convert("L").
uint8_t grey_of(uint8_t r, uint8_t g, uint8_t b) {
  return static_cast<uint8_t>((r * 19595u + g * 38470u + b * 7471u + 0x8000u) >> 16);
}

// Calls change(r, g, b) with each pixel of a picture of three planes.
template <class Change>
void for_each_pixel(Image& image, const Change& change) {
  const int64_t count = int64_t{image.height} * image.width;
  uint8_t *r = image.data(), *g = r + count, *b = g + count;
  for (int64_t i = 0; i < count; ++i) change(r[i], g[i], b[i]);
}

void adjust_contrast(Image& image, float factor) {
  int64_t sum = 0;
  if (image.channels == 1) {
    for (int64_t i = 0; i < image.bytes(); ++i) sum += image.data()[i];
  } else {
    for_each_pixel(image, [&](uint8_t r, uint8_t g, uint8_t b) { sum += grey_of(r, g, b); });
  }
  const double count = static_cast<double>(image.height) * image.width;
  blend_all(static_cast<uint8_t>(static_cast<double>(sum) / count + 0.5), factor, image);
}

void adjust_saturation(Image& image, float factor) {
  if (image.channels == 1) return;
  for_each_pixel(image, [factor](uint8_t& r, uint8_t& g, uint8_t& b) {
    const uint8_t grey = grey_of(r, g, b);
    r = blend(grey, r, factor), g = blend(grey, g, factor), b = blend(grey, b, factor);
  });
}

struct Hsv {
  uint8_t h, s, v;
};

// Pillow's rgb2hsv_row, after Python's colorsys.
Hsv to_hsv(uint8_t r, uint8_t g, uint8_t b) {
  const uint8_t most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, most};
  const auto range = static_cast<float>(most - least);
  const float red = static_cast<float>(most - r) / range;
  const float green = static_cast<float>(most - g) / range;
  const float blue = static_cast<float>(most - b) / range;
  float h = 0;
  if (r == most) {
    h = blue - green;
  } else if (g == most) {
    h = static_cast<float>(2.0 + red - blue);
  } else {
    h = static_cast<float>(4.0 + green - red);
  }
  h = static_cast<float>(std::fmod(h / 6.0 + 1.0, 1.0));
  const float s = range / static_cast<float>(most);
  return {static_cast<uint8_t>(std::clamp(static_cast<int>(h * 255.0), 0, 255)),
          static_cast<uint8_t>(std::clamp(static_cast<int>(s * 255.0), 0, 255)), most};
}

// Pillow's hsv2rgb.
void from_hsv(const Hsv& hsv, uint8_t& r, uint8_t& g, uint8_t& b) {
  const auto set = [&](uint8_t red, uint8_t green, uint8_t blue) { r = red, g = green, b = blue; };
  const uint8_t v = hsv.v;
  if (hsv.s == 0) return set(v, v, v);
  const auto sector = static_cast<int>(std::floor(static_cast<float>(hsv.h) * 6.0 / 255.0));
  const auto f = static_cast<float>(static_cast<float>(hsv.h) * 6.0 / 255.0 -
                                    static_cast<double>(static_cast<float>(sector)));
  const float s = static_cast<float>(hsv.s) / 255.0f;
  const auto part = [v](double of) {
    return static_cast<uint8_t>(
        std::clamp(static_cast<int>(std::round(static_cast<float>(v) * of)), 0, 255));
  };
  const uint8_t p = part(1.0 - s), q = part(1.0 - s * f), t = part(1.0 - s * (1.0 - f));
  switch (sector % 6) {
    case 0:
      return set(v, t, p);
    case 1:
      return set(q, v, p);
    case 2:
      return set(p, v, t);
    case 3:
      return set(p, q, v);
    case 4:
      return set(t, p, v);
    default:
      return set(v, p, q);
  }
}

void adjust_hue(Image& image, double turn) {
  if (image.channels == 1) return;
  const auto shift = static_cast<uint8_t>(static_cast<int>(turn * 255));
  for_each_pixel(image, [shift](uint8_t& r, uint8_t& g, uint8_t& b) {
    Hsv hsv = to_hsv(r, g, b);
    hsv.h = static_cast<uint8_t>(hsv.h + shift);
    from_hsv(hsv, r, g, b);
  });
}

class ColorJitter final : public Transform {
 public:
  explicit ColorJitter(const ColorJitterOptions& o)
      : ranges_{make_range("brightness", o.brightness, 1, 0, HUGE_VAL),
                make_range("contrast", o.contrast, 1, 0, HUGE_VAL),
                make_range("saturation", o.saturation, 1, 0, HUGE_VAL),
                make_range("hue", o.hue, 0, -0.5, 0.5)} {}

  Shape output(const Shape& input) const override {
    if (input[0] == 1 || input[0] == 3) return input;
    fail(Failure::usage, "color_jitter: the picture has ", input[0],
         " channels; expected 1 or 3; leave the transform out");
  }

  // Draws the order, then the factors of what changes.
  void apply(Image& image, Image&, RandomStream& random) const override {
    std::array<size_t, 4> order{0, 1, 2, 3};
    for (size_t i = 3; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
    std::array<double, 4> factors{};
    for (size_t i = 0; i < 4; ++i) {
      if (ranges_[i]) factors[i] = random.uniform((*ranges_[i])[0], (*ranges_[i])[1]);
    }
    for (const size_t which : order) {
      if (ranges_[which]) adjust(image, which, factors[which]);
    }
  }

 private:
  static void adjust(Image& image, size_t which, double factor) {
    const auto f = static_cast<float>(factor);
    switch (which) {
      case 0:
        return blend_all(0, f, image);
      case 1:
        return adjust_contrast(image, f);
      case 2:
        return adjust_saturation(image, f);
      default:
        return adjust_hue(image, factor);
    }
  }

  std::array<Range, 4> ranges_;
};

}  // namespace

LS_PLUGIN(color_jitter, registry) {
  registry.transform<ColorJitter, ColorJitterOptions>(
      "color_jitter", "random brightness, contrast, saturation and hue, in random order");
}
