#include "train/evaluation_details.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <tuple>

#include "base/text.hpp"
#include "checkpoint/writer.hpp"

namespace lockstep {
namespace {

// In the order of the list: by the probability of the right class, then by place.
bool is_worse(const Mistake& a, const Mistake& b) {
  return std::tuple(a.label_probability, a.index) < std::tuple(b.label_probability, b.index);
}

}  // namespace

std::vector<float> softmax(std::span<const float> logits) {
  const double most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(logit - most);
  std::vector<float> probabilities;
  for (float logit : logits) {
    probabilities.push_back(static_cast<float>(std::exp(logit - most) / sum));
  }
  return probabilities;
}

std::vector<int32_t> ranking(std::span<const float> logits, int64_t top) {
  std::vector<int32_t> classes(logits.size());
  std::iota(classes.begin(), classes.end(), 0);
  const auto likelier = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x > y || (x == y && a < b);
  };
  const auto count = std::min<int64_t>(top, static_cast<int64_t>(classes.size()));
  std::partial_sort(classes.begin(), classes.begin() + count, classes.end(), likelier);
  classes.resize(static_cast<size_t>(count));
  return classes;
}

EvaluationDetails::EvaluationDetails(int64_t classes, int64_t top, int64_t most_mistakes)
    : classes_(classes),
      top_(std::min(top, classes)),
      most_mistakes_(static_cast<size_t>(most_mistakes)),
      confusion_(static_cast<size_t>(classes * classes)) {}

void EvaluationDetails::add(const Batch& batch, std::span<const float> logits) {
  const auto width = static_cast<size_t>(classes_);
  for (int64_t n = 0; n < batch.samples; ++n) {
    if (batch.weights[n] == 0) continue;
    const auto row = logits.subspan(static_cast<size_t>(n) * width, width);
    const int32_t label = batch.labels[n];
    const std::vector<int32_t> guesses = ranking(row, top_);
    const bool hit = std::find(guesses.begin(), guesses.end(), label) != guesses.end();
    top_hits_ += hit ? 1 : 0;
    ++confusion_[static_cast<size_t>(label * classes_ + guesses[0])];
    if (guesses[0] == label) continue;
    const std::vector<float> probabilities = softmax(row);
    keep({.index = batch.indices[n],
          .label = label,
          .predicted = guesses[0],
          .probability = probabilities[static_cast<size_t>(guesses[0])],
          .label_probability = probabilities[static_cast<size_t>(label)]});
  }
}

void EvaluationDetails::keep(Mistake mistake) {
  const auto place = std::upper_bound(mistakes_.begin(), mistakes_.end(), mistake, is_worse);
  mistakes_.insert(place, mistake);
  if (mistakes_.size() > most_mistakes_) mistakes_.pop_back();
}

void EvaluationDetails::gather(CommunicationThread& communication) {
  if (communication.world_size() == 1) return;
  std::vector<double> sums(confusion_.begin(), confusion_.end());
  sums.push_back(static_cast<double>(top_hits_));
  communication.sum(sums, "confusion matrix");
  top_hits_ = std::llround(sums.back());
  for (size_t i = 0; i < confusion_.size(); ++i) confusion_[i] = std::llround(sums[i]);

  const std::string mine(reinterpret_cast<const char*>(mistakes_.data()),
                         mistakes_.size() * sizeof(Mistake));
  mistakes_.clear();
  for (const std::string& bytes : communication.gather(mine, "mistakes")) {
    for (size_t at = 0; at < bytes.size(); at += sizeof(Mistake)) {
      Mistake mistake;
      std::memcpy(&mistake, bytes.data() + at, sizeof mistake);
      keep(mistake);
    }
  }
}

int64_t EvaluationDetails::samples(int64_t label) const {
  const auto row = confusion_.begin() + label * classes_;
  return std::accumulate(row, row + classes_, int64_t{0});
}

int64_t EvaluationDetails::samples() const {
  return std::accumulate(confusion_.begin(), confusion_.end(), int64_t{0});
}

void EvaluationDetails::write(const std::filesystem::path& folder,
                              std::span<const std::string> class_names,
                              const Dataset& dataset) const {
  const auto name = [&](int64_t c) { return csv_field(class_names[static_cast<size_t>(c)]); };
  std::string per_class = "class,samples,correct,accuracy,predicted,precision\n";
  std::string matrix = "true \\ predicted";
  for (int64_t c = 0; c < classes_; ++c) matrix += ',' + name(c);
  matrix += '\n';
  for (int64_t c = 0; c < classes_; ++c) {
    int64_t predicted = 0;
    for (int64_t label = 0; label < classes_; ++label) predicted += count(label, c);
    const auto share = [&](int64_t of) {  // empty where there is nothing to divide by
      return of == 0 ? ""
                     : fmt::format("{:.6f}",
                                   static_cast<double>(count(c, c)) / static_cast<double>(of));
    };
    per_class += fmt::format("{},{},{},{},{},{}\n", name(c), samples(c), count(c, c),
                             share(samples(c)), predicted, share(predicted));
    matrix += name(c);
    for (int64_t guess = 0; guess < classes_; ++guess) {
      matrix += fmt::format(",{}", count(c, guess));
    }
    matrix += '\n';
  }
  std::string mistakes = "sample,index,class,predicted,probability,class_probability\n";
  for (const Mistake& m : mistakes_) {
    mistakes +=
        fmt::format("{},{},{},{},{:.6f},{:.6g}\n", csv_field(dataset.sample_name(m.index)), m.index,
                    name(m.label), name(m.predicted), m.probability, m.label_probability);
  }
  std::filesystem::create_directories(folder);
  write_file_safely(folder / "per_class.csv", per_class);
  write_file_safely(folder / "confusion_matrix.csv", matrix);
  write_file_safely(folder / "mistakes.csv", mistakes);
}

}  // namespace lockstep
