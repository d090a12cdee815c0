#include "data/open.hpp"

#include <cstdlib>
#include <filesystem>

#include "data/subset.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The resolved path; to describe data that is not there, the path as it was given.
std::string find_data(const std::string& path, DataUse use) {
  try {
    return resolve_data_path(path);
  } catch (const Error&) {
    if (use != DataUse::describe) throw;
    return path;
  }
}

std::unique_ptr<Dataset> open_split(const Recipe& recipe, const DatasetEntry& entry, Split split,
                                    DataUse use, const std::string& path) {
  const DatasetSource source{
      .split = split, .path = path, .seed = recipe.seed, .spec_only = use == DataUse::describe};
  std::unique_ptr<Dataset> dataset = entry.make(source, recipe.data.options);
  if (use != DataUse::describe && dataset->size() <= 0) {
    fail(Failure::data, path.empty() ? recipe.data.name : path, ": the ",
         split == Split::train ? "training" : "test",
         " set is empty; expected at least one sample");
  }
  return dataset;
}

// Makes the transforms and follows the image through them.
std::vector<std::unique_ptr<Transform>> make_transforms(
    const std::vector<TransformSection>& sections, Registry& registry, Shape& image) {
  std::vector<std::unique_ptr<Transform>> transforms;
  for (const TransformSection& section : sections) {
    transforms.push_back(registry.find_transform(section.name).make(section.options));
    try {
      image = transforms.back()->output(image);
    } catch (Error& e) {
      e.add_context(section.where);
      throw;
    }
  }
  return transforms;
}

void check_image(const Recipe& recipe, const Shape& train, const Shape& evaluation) {
  if (train.numel() == 0 || evaluation.numel() == 0) {
    const char* key = train.numel() == 0 ? "data.train_transforms" : "data.eval_transforms";
    fail(Failure::usage, recipe.place(key), ": ", key,
         ": pictures differ in size; expected one size after the transforms; add one that crops or "
         "resizes");
  }
  if (train != evaluation) {
    fail(Failure::usage, recipe.place("data.eval_transforms"), ": pictures are ", evaluation,
         " in evaluation, but ", train,
         " in training; expected one shape (channels, height, width)");
  }
}

std::vector<double> per_channel(const Recipe& recipe, const char* key,
                                const std::vector<double>& given, int64_t channels,
                                double otherwise) {
  if (given.empty()) return std::vector<double>(static_cast<size_t>(channels), otherwise);
  if (static_cast<int64_t>(given.size()) != channels) {
    fail(Failure::usage, recipe.place(key), ": ", key, " has ", given.size(), " numbers; expected ",
         channels, ", one per channel of the pictures of '", recipe.data.name, "'");
  }
  return given;
}

void split_off_validation(const Recipe& recipe, OpenedData& data) {
  const double fraction = recipe.data.validation_fraction;
  if (fraction <= 0) return;
  ValidationSplit split;
  try {
    split = split_validation(data.train->size(), fraction, recipe.seed);
  } catch (Error& e) {
    e.add_context(recipe.place("data.validation_fraction"));
    throw;
  }
  const std::shared_ptr<const Dataset> whole = std::move(data.train);
  data.train = std::make_unique<Subset>(whole, std::move(split.train));
  data.validation = std::make_unique<Subset>(whole, std::move(split.validation));
}

}  // namespace

std::string resolve_data_path(const std::string& given, std::string_view key, Failure failure) {
  if (given.empty()) return given;
  const fs::path path(given);
  if (is_there(path)) return given;
  if (path.is_absolute()) fail(failure, key, ": ", given, " does not exist");
  const fs::path relative = given.starts_with("data/") ? fs::path(given.substr(5)) : path;
  const char* root = std::getenv("LOCKSTEP_DATA");
  const bool has_root = root != nullptr && *root != '\0';
  const fs::path second = has_root ? fs::path(root) / relative : fs::path();
  if (has_root && is_there(second)) return second.string();
  std::error_code ignored;
  fail(failure, key, ": found neither ", fs::absolute(path, ignored).string(), " nor ",
       has_root ? second.string()
                : "$LOCKSTEP_DATA/" + relative.string() + " (LOCKSTEP_DATA is not set)",
       "; expected what it names; set ", key, " or LOCKSTEP_DATA to where it is");
}

void require_same_classes(const OpenedData& data, const std::vector<std::string>& trained_for,
                          const std::string& origin) {
  if (trained_for.empty() || trained_for == data.class_names) return;
  fail(Failure::data, "the classes of the dataset are not those of ", origin, " (",
       data.class_names.size(), " and ", trained_for.size(),
       " of them, or other names or order); expected the dataset it was trained for; check "
       "data.path");
}

OpenedData open_data(const Recipe& recipe, Registry& registry, DataUse use) {
  const DatasetEntry& entry = registry.find_dataset(recipe.data.name);
  OpenedData data;
  data.path = find_data(recipe.data.path, use);
  if (use != DataUse::evaluate)
    data.train = open_split(recipe, entry, Split::train, use, data.path);
  data.test = open_split(recipe, entry, Split::test, use, data.path);
  const DatasetSpec& spec = data.test->spec();
  if (data.train &&
      (data.train->spec().image != spec.image || data.train->spec().classes != spec.classes)) {
    fail(Failure::data, recipe.data.name, ": training and test set differ: pictures ",
         data.train->spec().image, " and ", spec.image, ", classes ", data.train->spec().classes,
         " and ", spec.classes, "; expected the same");
  }
  data.classes = spec.classes;
  data.class_names = spec.class_names;
  data.image = data.source_image = spec.image;
  Shape eval_image = spec.image;
  data.train_transforms = make_transforms(recipe.data.train_transforms, registry, data.image);
  data.eval_transforms = make_transforms(recipe.data.eval_transforms, registry, eval_image);
  check_image(recipe, data.image, eval_image);
  data.mean = per_channel(recipe, "data.mean", recipe.data.mean, data.image[0], 0.0);
  data.std = per_channel(recipe, "data.std", recipe.data.std, data.image[0], 1.0);
  if (use == DataUse::describe) {
    data.train = nullptr;
    data.test = nullptr;
  } else if (use == DataUse::train) {
    split_off_validation(recipe, data);
  }
  return data;
}

}  // namespace lockstep
