#include "train/data_fingerprint.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>

#include "base/text.hpp"

namespace lockstep {
namespace {

class Digest {
 public:
  void add(std::string_view text) {
    XXH3_64bits_update(state_.get(), text.data(), text.size());
    XXH3_64bits_update(state_.get(), "", 1);  // "ab", "c" is not "a", "bc"
  }
  void add(const Image& image) {
    add(concat(image.channels, 'x', image.height, 'x', image.width));
    XXH3_64bits_update(state_.get(), image.data(), static_cast<size_t>(image.bytes()));
  }
  std::string text() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_.get())); }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_ = [] {
    std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
    XXH3_64bits_reset(state.get());
    return state;
  }();
};

// `most` indices from the first to the last of `size`, evenly spread; all where there are fewer.
std::vector<int64_t> spread(int64_t size, int64_t most) {
  const int64_t count = std::min(size, most);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i)
    indices.push_back(count == 1 ? 0 : i * (size - 1) / (count - 1));
  return indices;
}

// What cannot be read is no finding here: the loader says it, or passes over it as the recipe says.
std::string digest_pictures(const Dataset& dataset) {
  // Decoding a photograph takes milliseconds; pictures of one small size take none.
  constexpr int64_t kPhotographs = 4;
  constexpr int64_t kSmallPictures = 64;
  constexpr int64_t kSmall = 64 * 64;
  const Shape& shape = dataset.spec().image;
  const bool small = shape[1] > 0 && shape[1] * shape[2] <= kSmall;
  Digest digest;
  Image image;
  for (const int64_t index : spread(dataset.size(), small ? kSmallPictures : kPhotographs)) {
    try {
      digest.add(std::to_string(dataset.read(index, image)));
      digest.add(image);
    } catch (const Error&) {
      digest.add("unreadable");
    }
  }
  return digest.text();
}

// A file's name from where the data lies: each host may have its copy in another place.
std::string digest_names(const Dataset& dataset, const std::string& path) {
  constexpr int64_t kNames = 256;
  Digest digest;
  for (const int64_t index : spread(dataset.size(), kNames)) {
    std::string name = dataset.sample_name(index);
    if (name.starts_with(path)) name.erase(0, path.size());
    digest.add(name);
  }
  return digest.text();
}

void add_set(Facts& facts, const std::string& path, const char* name, const Dataset* dataset) {
  if (dataset == nullptr) return;
  facts[concat("size of the ", name, " set")] = count_text(dataset->size());
  facts[concat("names of samples of the ", name, " set")] = digest_names(*dataset, path);
  facts[concat("pictures of the ", name, " set")] = digest_pictures(*dataset);
}

}  // namespace

Facts data_fingerprint(const OpenedData& data) {
  Facts facts;
  Digest names;
  for (const std::string& name : data.class_names) names.add(name);
  facts["classes"] = concat(data.classes, " with names of digest ", names.text());
  add_set(facts, data.path, "training", data.train.get());
  add_set(facts, data.path, "validation", data.validation.get());
  add_set(facts, data.path, "test", data.test.get());
  return facts;
}

}  // namespace lockstep
