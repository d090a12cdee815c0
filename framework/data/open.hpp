// A recipe's [data] section, opened: datasets, transforms, and the facts that a model and its
// loader need.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "recipe/recipe.hpp"

namespace lockstep {

// What the data is wanted for.
enum class DataUse : uint8_t {
  train,     // all sets
  evaluate,  // the test set alone
  describe,  // shapes and classes; the files may be missing, all sets are null
};

struct OpenedData {
  std::unique_ptr<Dataset> train;
  std::unique_ptr<Dataset> validation;  // null without data.validation_fraction
  std::unique_ptr<Dataset> test;
  std::vector<std::unique_ptr<Transform>> train_transforms;
  std::vector<std::unique_ptr<Transform>> eval_transforms;  // of validation and test

  Shape source_image;  // (C, H, W) before the transforms; H = W = 0: pictures differ in size
  Shape image;         // (C, H, W) after the transforms, in training and evaluation
  int64_t classes = 0;
  std::vector<std::string> class_names;
  std::vector<double>
      mean;                 // one per channel, of pixels scaled to [0, 1]; 0 if the recipe has none
  std::vector<double> std;  // likewise; 1 if the recipe has none
  std::string path;         // data.path as it was found
};

// Throws Error{data} where files are missing or damaged or a set is empty, Error{usage} where the
// recipe does not fit them.
OpenedData open_data(const Recipe& recipe, Registry& registry, DataUse use = DataUse::train);

// Throws Error{data} where the dataset's classes are not those that `origin` was trained for; none
// are known for `trained_for` empty.
void require_same_classes(const OpenedData& data, const std::vector<std::string>& trained_for,
                          const std::string& origin);

// An absolute path as it is; a relative one in the working directory or, without a leading "data/",
// in $LOCKSTEP_DATA. Throws Error{failure} that names the places where it is not. An empty path
// stays empty. `key`: that of the recipe, for the message.
std::string resolve_data_path(const std::string& path, std::string_view key = "data.path",
                              Failure failure = Failure::data);

}  // namespace lockstep
