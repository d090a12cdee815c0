// What a frozen network makes of each picture, computed once and kept in memory, so that only what
// follows the features is trained on (data.cache_features).
#pragma once

#include <memory>
#include <vector>

#include "data/batch.hpp"
#include "data/dataset.hpp"
#include "plan/plan.hpp"
#include "plan/state.hpp"
#include "runtime/executor.hpp"
#include "train/session.hpp"

namespace lockstep {

// The features of a dataset's pictures, as a dataset: a sample's "image" is the bytes of f32(F).
class FeatureSet final : public Dataset {
 public:
  FeatureSet(std::unique_ptr<Dataset> pictures, int64_t features);

  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return pictures_->size(); }
  int64_t read(int64_t index, Image& image) const override;

  int64_t label(int64_t index) const override { return pictures_->label(index); }
  std::string sample_name(int64_t index) const override { return pictures_->sample_name(index); }

  const Dataset& pictures() const { return *pictures_; }
  int64_t features() const { return spec_.image.numel() / size_of(DType::f32); }
  // Rows (slice.size(), F) and labels of some samples; -1 for a picture that could not be read.
  void put(Slice slice, const float* rows, const int32_t* labels);
  // Every rank has put its part of all samples; afterwards every rank has all.
  void gather(CommunicationThread& communication);

 private:
  std::unique_ptr<Dataset> pictures_;
  DatasetSpec spec_;
  std::vector<float> values_;    // (size, F)
  std::vector<int32_t> labels_;  // (size)
};

class FeatureCache {
 public:
  // Puts feature sets in the place of the session's datasets, and makes the request one from
  // features. Throws Error{usage} where features are not the same in every epoch.
  FeatureCache(Session& session, PlanRequest& request);

  // Computes all features with the network's weights in `state`; each rank its share, then all
  // have all.
  void fill(State& state);

 private:
  void fill_set(FeatureSet& set, Plan& plan, Executor& executor);

  Session& session_;
  PlanRequest pictures_;                     // the request as it was
  std::shared_ptr<BadSamples> bad_samples_;  // the session's as it was
  std::vector<std::unique_ptr<Transform>> transforms_;
  std::vector<FeatureSet*> sets_;
};

}  // namespace lockstep
