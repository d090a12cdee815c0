// The method of Pillow's src/libImaging/Resample.c (https://github.com/python-pillow/Pillow):
// a triangle filter whose support grows with the reduction, its weights rounded to 22 bits after
// the point, along rows and along columns, rounded to bytes in between. Equal bits need the same
// order of floating-point operations when the weights are made, and the same order of the passes:
// rows come first but where a picture loses far more of its height (Pillow 13; the versions before
// it did not except these, so that there a value may differ by one).
#include "data/resample.hpp"

#include <algorithm>
#include <cmath>

#include "plugin/plugin.hpp"

namespace lockstep {
namespace {

constexpr int kFractionBits = 22;
constexpr int32_t kHalf = 1 << (kFractionBits - 1);
constexpr int kLanes = 16;

// Of one axis: result i is the sum of the pixels first(i) + k times weights(i)[k], k < count(i).
class Filter {
 public:
  void make(int in, int out) {
    const double scale = static_cast<double>(in) / out;
    const double support = std::max(scale, 1.0);  // the triangle's half base in pixels
    stride_ = static_cast<size_t>(std::ceil(support)) * 2 + 1;
    spans_.resize(static_cast<size_t>(out));
    weights_.resize(stride_ * static_cast<size_t>(out));
    exact_.resize(stride_);
    for (int i = 0; i < out; ++i) {
      const double center = (i + 0.5) * scale;
      const int first = std::max(static_cast<int>(center - support + 0.5), 0);
      const int end = std::min(static_cast<int>(center + support + 0.5), in);
      spans_[static_cast<size_t>(i)] = {first, end - first};
      weigh(center, 1.0 / support, first, end - first, &weights_[static_cast<size_t>(i) * stride_]);
    }
  }

  int first(int i) const { return spans_[static_cast<size_t>(i)].first; }
  int count(int i) const { return spans_[static_cast<size_t>(i)].count; }
  const int32_t* weights(int i) const { return &weights_[static_cast<size_t>(i) * stride_]; }

 private:
  struct Span {
    int first, count;
  };

  void weigh(double center, double inverse_support, int first, int count, int32_t* weights) {
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      const double distance = std::abs((k + first - center + 0.5) * inverse_support);
      exact_[static_cast<size_t>(k)] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += exact_[static_cast<size_t>(k)];
    }
    for (int k = 0; k < count; ++k) {
      const double weight = sum != 0.0 ? exact_[static_cast<size_t>(k)] / sum : 0.0;
      weights[k] = static_cast<int32_t>(0.5 + weight * (1 << kFractionBits));
    }
  }

  size_t stride_ = 0;
  std::vector<Span> spans_;
  std::vector<int32_t> weights_;
  std::vector<double> exact_;
};

// Rows of bytes, one plane of a picture.
struct Plane {
  const uint8_t* data;
  int64_t stride;
  const uint8_t* row(int y) const { return data + y * stride; }
};

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

// Of kLanes rows, interleaved.
LOCKSTEP_CLONES void resample_lanes(const uint8_t* in, const Filter& filter, int width,
                                    uint8_t* out) {
  for (int x = 0; x < width; ++x, out += kLanes) {
    const int32_t* weights = filter.weights(x);
    const uint8_t* pixels = in + int64_t{filter.first(x)} * kLanes;
    int32_t sums[kLanes];
    for (int r = 0; r < kLanes; ++r) sums[r] = kHalf;
    for (int k = 0, count = filter.count(x); k < count; ++k, pixels += kLanes) {
      for (int r = 0; r < kLanes; ++r) sums[r] += pixels[r] * weights[k];
    }
    for (int r = 0; r < kLanes; ++r) out[r] = to_byte(sums[r]);
  }
}

LOCKSTEP_CLONES void add_weighted_row(const uint8_t* in, int32_t weight, int width, int32_t* sums) {
  for (int x = 0; x < width; ++x) sums[x] += in[x] * weight;
}

LOCKSTEP_CLONES void round_row(const int32_t* sums, int width, uint8_t* out) {
  for (int x = 0; x < width; ++x) out[x] = to_byte(sums[x]);
}

// A thread's memory, kept from picture to picture.
struct Workspace {
  Filter horizontal, vertical;
  std::vector<uint8_t> between;  // a plane after its first pass
  std::vector<uint8_t> lanes_in, lanes_out;
  std::vector<int32_t> sums;
};

// Pixel x of row r at x * kLanes + r, and back. Where there are fewer rows the rest is left as it
// is.
void interleave(const Plane& in, int first_row, int rows, int width, uint8_t* lanes) {
  for (int r = 0; r < rows; ++r) {
    const uint8_t* row = in.row(first_row + r);
    for (int x = 0; x < width; ++x) lanes[x * kLanes + r] = row[x];
  }
}
void separate(const uint8_t* lanes, int rows, int width, uint8_t* out) {
  for (int r = 0; r < rows; ++r, out += width) {
    for (int x = 0; x < width; ++x) out[x] = lanes[x * kLanes + r];
  }
}

// From `height` rows of `in` to as many of `width`. Some rows at a time are interleaved, so that
// one weight meets many pixels that lie side by side.
void resample_rows(const Plane& in, const Filter& filter, int from_width, int height, int width,
                   uint8_t* out, Workspace& work) {
  work.lanes_in.resize(static_cast<size_t>(from_width) * kLanes);
  work.lanes_out.resize(static_cast<size_t>(width) * kLanes);
  for (int y = 0; y < height; y += kLanes) {
    const int rows = std::min(kLanes, height - y);
    interleave(in, y, rows, from_width, work.lanes_in.data());
    resample_lanes(work.lanes_in.data(), filter, width, work.lanes_out.data());
    separate(work.lanes_out.data(), rows, width, out + int64_t{y} * width);
  }
}

// From rows of `width` of `in` to `height` of them.
void resample_columns(const Plane& in, const Filter& filter, int height, int width, uint8_t* out,
                      std::vector<int32_t>& sums) {
  sums.resize(static_cast<size_t>(width));
  for (int y = 0; y < height; ++y, out += width) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int k = 0; k < filter.count(y); ++k)
      add_weighted_row(in.row(filter.first(y) + k), filter.weights(y)[k], width, sums.data());
    round_row(sums.data(), width, out);
  }
}

void copy_rows(const Plane& in, int height, int width, uint8_t* out) {
  for (int y = 0; y < height; ++y, out += width)
    std::memcpy(out, in.row(y), static_cast<size_t>(width));
}

void resample_plane(const Plane& in, const Window& from, int height, int width, uint8_t* out,
                    Workspace& work) {
  const bool rows = width != from.width, columns = height != from.height;
  if (!rows && !columns) return copy_rows(in, height, width, out);
  if (!columns) return resample_rows(in, work.horizontal, from.width, height, width, out, work);
  if (!rows) return resample_columns(in, work.vertical, height, width, out, work.sums);
  uint8_t* between = work.between.data();
  if (height < from.height && from.height - height > 2 * (from.width - width)) {
    resample_columns(in, work.vertical, height, from.width, between, work.sums);
    resample_rows({between, from.width}, work.horizontal, from.width, height, width, out, work);
  } else {
    resample_rows(in, work.horizontal, from.width, from.height, width, between, work);
    resample_columns({between, width}, work.vertical, height, width, out, work.sums);
  }
}

}  // namespace

void resample(const Image& image, const Window& window, int height, int width, Image& result) {
  LS_ASSERT(&image != &result && height > 0 && width > 0 && window.height > 0 && window.width > 0);
  LS_ASSERT(window.top >= 0 && window.top + window.height <= image.height);
  LS_ASSERT(window.left >= 0 && window.left + window.width <= image.width);
  thread_local Workspace work;
  work.horizontal.make(window.width, width);
  work.vertical.make(window.height, height);
  const auto between = std::max(int64_t{window.height} * width, int64_t{window.width} * height);
  if (std::ssize(work.between) < between) work.between.resize(static_cast<size_t>(between));
  result.resize(image.channels, height, width);
  for (int c = 0; c < image.channels; ++c) {
    const Plane plane{image.row(c, window.top) + window.left, image.width};
    resample_plane(plane, window, height, width, result.row(c, 0), work);
  }
}

}  // namespace lockstep
