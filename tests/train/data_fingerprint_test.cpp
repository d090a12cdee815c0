// What two copies of a dataset have in common, and what tells others apart.
#include "train/data_fingerprint.hpp"

#include "data/support.hpp"

namespace lockstep {
namespace {

// Pictures of one small size with names below a folder.
class NamedDataset final : public Dataset {
 public:
  NamedDataset(std::string folder, int64_t size) : folder_(std::move(folder)), size_(size) {
    spec_ = {.image = {1, 2, 2}, .classes = 2, .class_names = {"cat", "dog"}};
  }
  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  int64_t read(int64_t index, Image& image) const override {
    if (index == bad) fail(Failure::data, "damaged");
    image.resize(1, 2, 2);
    std::fill_n(image.data(), 4, static_cast<uint8_t>(index == changed ? 255 : index % 100));
    return index % 2;
  }
  std::string sample_name(int64_t index) const override {
    return concat(folder_, "/", index == renamed ? "x" : std::to_string(index), ".png");
  }

  int64_t bad = -1, changed = -1, renamed = -1;

 private:
  DatasetSpec spec_;
  std::string folder_;
  int64_t size_;
};

struct Change {
  std::string folder = "data";
  int64_t size = 1000;
  int64_t bad = -1, changed = -1, renamed = -1;
};

Facts fingerprint(const Change& change) {
  auto dataset = std::make_unique<NamedDataset>(change.folder, change.size);
  dataset->bad = change.bad, dataset->changed = change.changed, dataset->renamed = change.renamed;
  OpenedData data;
  data.path = change.folder;
  data.classes = 2;
  data.class_names = dataset->spec().class_names;
  data.train = std::move(dataset);
  data.test = std::make_unique<NamedDataset>(change.folder, 10);
  return data_fingerprint(data);
}

TEST(DataFingerprintTest, IsEqualForCopiesInOtherPlaces) {
  EXPECT_EQ(fingerprint({}), fingerprint({.folder = "/scratch/copy"}));
}

TEST(DataFingerprintTest, EachDifferenceChangesItsFactAlone) {
  const Facts same = fingerprint({});
  const auto differing = [&](const Change& change) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : fingerprint(change)) {
      if (value != same.at(key)) keys.push_back(key);
    }
    return keys;
  };
  const std::vector<std::string> pictures = {"pictures of the training set"};
  EXPECT_EQ(differing({.changed = 0}), pictures);
  EXPECT_EQ(differing({.changed = 999}), pictures);
  EXPECT_EQ(differing({.bad = 999}), pictures);
  EXPECT_EQ(differing({.renamed = 0}),
            std::vector<std::string>{"names of samples of the training set"});
}

TEST(DataFingerprintTest, IsDefinedForOneSampleAndForNone) {
  EXPECT_EQ(fingerprint({.size = 1}).at("size of the training set"), "1");
  EXPECT_EQ(fingerprint({.size = 0}).at("size of the training set"), "0");
}

}  // namespace
}  // namespace lockstep
