// Some samples of a dataset, as a dataset; and the split of a training set into training and
// validation.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.hpp"

namespace lockstep {

class Subset final : public Dataset {
 public:
  // Sample i is sample indices[i] of `whole`.
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices);

  const DatasetSpec& spec() const override { return whole_->spec(); }
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  int64_t read(int64_t index, Image& image) const override {
    return whole_->read(indices_[static_cast<size_t>(index)], image);
  }
  std::string sample_name(int64_t index) const override {
    return whole_->sample_name(indices_[static_cast<size_t>(index)]);
  }
  int64_t label(int64_t index) const override {
    return whole_->label(indices_[static_cast<size_t>(index)]);
  }

 private:
  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> indices_;
};

// Two sets of indices, disjoint, together 0 … size - 1, each in ascending order.
struct ValidationSplit {
  std::vector<int64_t> train;
  std::vector<int64_t> validation;  // about `fraction` of all, drawn by the seed
};
// A fraction above 0 that leaves either set empty throws Error{usage}.
ValidationSplit split_validation(int64_t size, double fraction, uint64_t seed);

}  // namespace lockstep
