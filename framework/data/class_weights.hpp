// Weights of classes in the training loss, for sets in which some have far fewer samples.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.hpp"

namespace lockstep {

// The samples of each class. Asks for every label: Dataset::label says what that costs.
std::vector<int64_t> class_counts(const Dataset& dataset);

// scikit-learn's class_weight="balanced": samples / (classes * samples of the class), so that all
// classes weigh the same and the mean weight over the samples is 1. A class without samples gets 0
// and does not count as a class.
std::vector<float> balanced_class_weights(std::span<const int64_t> counts);

// By data.class_weights: one weight per class for "balanced", with a warning that names the classes
// without samples; none for "none".
std::vector<float> class_weights(const std::string& way, const Dataset& dataset);

}  // namespace lockstep
