// Pictures by their files, without classes: what `predict` looks at.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace lockstep {

class PictureList final : public Dataset {
 public:
  // `upright`: turns pictures as their EXIF data say.
  PictureList(std::vector<std::string> files, bool upright);

  // Makes pictures what a network of a dataset of one size expects, (C, H, W): the shorter side
  // scaled, the middle cut out, gray for C = 1. With H = W = 0 only the channels count.
  void fit_to(const Shape& image);

  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  // The class is always 0. A picture that cannot be read throws Error{data}, which is remembered.
  int64_t read(int64_t index, Image& image) const override;
  std::string sample_name(int64_t index) const override {
    return files_[static_cast<size_t>(index)];
  }

  // As decoded, before fit_to().
  void decode(int64_t index, Image& image) const;
  // Why sample `index` could not be read.
  std::string why_unreadable(int64_t index) const;

 private:
  std::vector<std::string> files_;
  bool upright_;
  DatasetSpec spec_;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, std::string> errors_;
};

}  // namespace lockstep
