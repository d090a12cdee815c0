// What a dataset and a transform are. Samples are uint8 images, planes of (C, H, W), and a class
// number.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/shape.hpp"

namespace lockstep {

// A picture in planes: pixels[(c * height + y) * width + x]. Reused by a worker from sample to
// sample, so that resize() allocates only while it grows.
class Image {
 public:
  int channels = 0;
  int height = 0;
  int width = 0;

  void resize(int c, int h, int w) {
    channels = c, height = h, width = w;
    if (static_cast<size_t>(bytes()) > pixels_.size()) pixels_.resize(static_cast<size_t>(bytes()));
  }
  int64_t bytes() const { return int64_t{channels} * height * width; }
  uint8_t* data() { return pixels_.data(); }
  const uint8_t* data() const { return pixels_.data(); }
  uint8_t* row(int c, int y) { return data() + (int64_t{c} * height + y) * width; }
  const uint8_t* row(int c, int y) const { return data() + (int64_t{c} * height + y) * width; }
  friend void swap(Image& a, Image& b) noexcept {
    std::swap(a.channels, b.channels), std::swap(a.height, b.height), std::swap(a.width, b.width);
    a.pixels_.swap(b.pixels_);
  }

 private:
  std::vector<uint8_t> pixels_;
};

enum class Split : uint8_t { train, test };

struct DatasetSpec {
  Shape image;  // (C, H, W); H and W are 0 where pictures differ in size
  int64_t classes = 0;
  std::vector<std::string> class_names;  // one per class, in order
};

// What a dataset is made from, beside its own options.
struct DatasetSource {
  Split split = Split::train;
  std::string path;  // data.path, resolved; empty for an embedded dataset
  uint64_t seed = 0;
  // Only spec() will be asked: files may be missing (`lockstep check` away from the data).
  bool spec_only = false;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const DatasetSpec& spec() const = 0;
  virtual int64_t size() const = 0;
  // Writes sample `index` into `image` and returns its class. Called by several workers at once;
  // allocates nothing once `image` is large enough. Throws Error{data} naming file and record.
  virtual int64_t read(int64_t index, Image& image) const = 0;
  // What people know the sample by: its file, or its number.
  virtual std::string sample_name(int64_t index) const { return std::to_string(index); }
  // The class of sample `index`. This one reads the sample; a dataset that knows it without the
  // picture says so.
  virtual int64_t label(int64_t index) const;
};

// A random or fixed change of a picture. Constant: workers share it.
class Transform {
 public:
  virtual ~Transform() = default;
  // (C, H, W) after the transform, given the one before; throws Error{usage} where it cannot be.
  virtual Shape output(const Shape& input) const = 0;
  // Changes `image`; `scratch` is a second picture to write into and swap with.
  virtual void apply(Image& image, Image& scratch, RandomStream& random) const = 0;
};

}  // namespace lockstep
