// What an evaluation says beyond loss and accuracy: how each class fares, what is taken for what,
// and the worst mistakes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/batch.hpp"
#include "data/dataset.hpp"
#include "runtime/communication_thread.hpp"

namespace lockstep {

struct Mistake {
  int64_t index = 0;  // of the sample in its dataset
  int32_t label = 0;
  int32_t predicted = 0;
  float probability = 0;        // of the predicted class
  float label_probability = 0;  // of the right one
};

class EvaluationDetails {
 public:
  // `top`: hits among so many first guesses are counted. `most_mistakes`: how many are kept.
  EvaluationDetails(int64_t classes, int64_t top, int64_t most_mistakes = 100);

  // A batch and its logits, (capacity, classes); samples of weight 0 are passed over.
  void add(const Batch& batch, std::span<const float> logits);
  // Sums up over all ranks, which all call it.
  void gather(CommunicationThread& communication);

  // (classes, classes), by true class and then by prediction.
  std::span<const int64_t> counts() const { return confusion_; }
  // Samples of class `label` that were taken for class `predicted`.
  int64_t count(int64_t label, int64_t predicted) const {
    return confusion_[static_cast<size_t>(label * classes_ + predicted)];
  }
  int64_t samples(int64_t label) const;
  int64_t samples() const;
  int64_t top() const { return top_; }
  int64_t top_hits() const { return top_hits_; }
  // Those whose right class was given the least probability first.
  const std::vector<Mistake>& mistakes() const { return mistakes_; }

  // Writes per_class.csv, confusion_matrix.csv and mistakes.csv into the folder, which is made.
  void write(const std::filesystem::path& folder, std::span<const std::string> class_names,
             const Dataset& dataset) const;

 private:
  void keep(Mistake mistake);

  int64_t classes_;
  int64_t top_;
  size_t most_mistakes_;
  int64_t top_hits_ = 0;
  std::vector<int64_t> confusion_;  // (classes, classes)
  std::vector<Mistake> mistakes_;
};

// The probabilities of a row of logits, and its classes from the likeliest to the least likely.
std::vector<float> softmax(std::span<const float> logits);
std::vector<int32_t> ranking(std::span<const float> logits, int64_t top);

}  // namespace lockstep
