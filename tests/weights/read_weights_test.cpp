// Files that PyTorch and safetensors wrote (tests/goldens/weights.py) hold what they were given.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "checkpoint/checkpoint.hpp"
#include "support/expect_error.hpp"
#include "support/temporary_folder.hpp"
#include "weights/formats.hpp"
#include "weights/weight_files.hpp"

namespace lockstep::testing {
namespace {

struct GoldenTensor {
  std::string file, name, dtype, shape;
  double sum;
};

std::vector<GoldenTensor> golden_tensors() {
  std::vector<GoldenTensor> tensors;
  std::ifstream table(weight_file("weights.tsv"));
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    GoldenTensor& tensor = tensors.emplace_back();
    for (std::string* field : {&tensor.file, &tensor.name, &tensor.dtype, &tensor.shape}) {
      std::getline(fields, *field, '\t');
    }
    fields >> tensor.sum;
  }
  return tensors;
}

double weighted_sum(const std::vector<float>& values) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += values[i] * static_cast<double>(i % 7 + 1);
  return sum;
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (int64_t extent : shape) text += concat(text.empty() ? "" : " ", extent);
  return text.empty() ? "-" : text;
}

TEST(ReadWeightsTest, EveryTensorHasItsTypeShapeAndNumbers) {
  const std::vector<GoldenTensor> golden = golden_tensors();
  ASSERT_GT(golden.size(), 100u);
  std::map<std::string, Weights> files;
  std::map<std::string, size_t> counts;
  for (const GoldenTensor& expected : golden) {
    auto file = files.find(expected.file);
    if (file == files.end()) {
      file = files.emplace(expected.file, read_weights(weight_file(expected.file))).first;
    }
    const std::string place = expected.file + ": " + expected.name;
    const auto found = file->second.tensors.find(expected.name);
    ASSERT_NE(found, file->second.tensors.end()) << place;
    const StoredTensor& tensor = found->second;
    EXPECT_EQ(name(tensor.dtype), expected.dtype) << place;
    EXPECT_EQ(shape_text(tensor.shape), expected.shape) << place;
    EXPECT_NEAR(weighted_sum(tensor.floats()), expected.sum, 1e-6 * (1 + std::abs(expected.sum)))
        << place;
    ++counts[expected.file];
  }
  for (const auto& [file, count] : counts) EXPECT_EQ(files.at(file).tensors.size(), count) << file;
}

TEST(ReadWeightsTest, HalfPrecisionIsExactInEveryRange) {
  // Smallest subnormal, a subnormal, smallest normal, one, largest, minus zero, infinities, NaN.
  const uint16_t halves[] = {0x0001, 0x03FF, 0x0400, 0x3C00, 0x7BFF,
                             0x8000, 0x7C00, 0xFC00, 0x7E01};
  StoredTensor tensor;
  tensor.dtype = DType::f16;
  tensor.shape = {9};
  tensor.strides = {1};
  tensor.data = reinterpret_cast<const std::byte*>(halves);
  const std::vector<float> values = tensor.floats();
  const float expected[] = {0x1p-24f, 0x1.ff8p-15f, 0x1p-14f, 1.0f,
                            65504.0f, -0.0f,        INFINITY, -INFINITY};
  for (size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(values[i], expected[i]) << i;
  EXPECT_TRUE(std::signbit(values[5]));
  EXPECT_TRUE(std::isnan(values[8]));
}

TEST(ReadWeightsTest, ACheckpointGivesItsTensorsClassesAndRecipe) {
  Checkpoint checkpoint;
  checkpoint.parameters["fc.weight"] = {{2, 3}, {1, 2, 3, 4, 5, 6}};
  checkpoint.buffers["bn.running_mean"] = {{2}, {7, 8}};
  checkpoint.classes = {"ant", "bee"};
  checkpoint.recipe = "seed = 1\n";
  const test::TemporaryFolder folder;
  std::ofstream(folder / "some.name", std::ios::binary) << to_bytes(checkpoint);
  const Weights weights = read_weights(folder / "some.name");
  EXPECT_EQ(weights.tensors.size(), 2u);
  EXPECT_EQ(weights.tensors.at("fc.weight").floats(), std::vector<float>({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(weights.tensors.at("fc.weight").shape, Shape({2, 3}));
  EXPECT_EQ(weights.tensors.at("bn.running_mean").floats(), std::vector<float>({7, 8}));
  EXPECT_EQ(weights.classes, checkpoint.classes);
  EXPECT_EQ(weights.recipe, checkpoint.recipe);
  EXPECT_EQ(weights.origin, (folder / "some.name").string());
}

TEST(ReadWeightsTest, WhatIsNoStateDictIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"refused_numpy.pth", "multiarray.scalar"},
      {"refused_module.pth", "torch.nn.modules.container.Sequential"},
      {"refused_short.pth", "torch.ShortStorage"},
      {"refused_tensor.pth", "holds a tensor; expected a state dict"},
      {"refused_numbers.pth", "epoch (an integer) and lr (a number)"},
      {"refused_script.pt", "TorchScript archive"},
  };
  for (const auto& [file, text] : cases) {
    expect_error([&, name = file] { read_weights(weight_file(name)); }, Failure::checkpoint, text);
    expect_error([&, name = file] { read_weights(weight_file(name)); }, Failure::checkpoint,
                 weight_file(file).string() + ": ");
  }
}

TEST(ReadWeightsTest, ATensorPastItsStorageIsRefused) {
  constexpr int64_t kElements = 10;
  const std::string storage(kElements * 4, '\0');
  const auto place = [&](Shape shape, std::vector<int64_t> strides, int64_t offset) {
    return place_tensor(DType::f32, shape, std::move(strides), offset, kElements, {storage, {}});
  };
  EXPECT_EQ(place({2, 3}, {3, 1}, 4).floats().size(), 6u) << "its last element is the storage's";
  EXPECT_EQ(place({0, 3}, {3, 1}, 99).floats().size(), 0u) << "it has no elements";
  const auto expect_refused = [&](Shape shape, std::vector<int64_t> strides, int64_t offset,
                                  const char* text) {
    expect_error([&] { place(shape, strides, offset); }, Failure::checkpoint, text);
  };
  expect_refused({2, 3}, {3, 1}, 5, "reaches past its storage of 10 elements");
  expect_refused({2, 3}, {8, 1}, 0, "reaches past its storage");
  expect_refused({}, {}, 10, "reaches past its storage");
  expect_refused({3, 2}, {INT64_MAX, 1}, 0, "reaches past its storage");
  expect_refused({2, 2}, {INT64_MAX, INT64_MAX}, 0, "reaches past its storage");
  expect_refused({int64_t{1} << 40}, {0}, 0, "repeats the elements of a storage of 10");
}

TEST(ReadWeightsTest, OtherFormatsAreRefusedWithWhatTheySeemToBe) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "the file is empty"},
      {"<html>", "web page"},
      {"\x1f\x8b\x08", "gzip"},
      {std::string("\x89HDF\r\n\x1a\n", 8) + "rest", "no checkpoint of Lockstep"},
      {"\x80\x04K\x01.", "a pickle, but not of torch.save"},
      {std::string(257, 'a') + "ustar  ", "tar archive"},
      {"hello", "no known format"},
  };
  for (const auto& [bytes, text] : cases) {
    expect_error([&, &content = bytes] { read_bytes(content); }, Failure::checkpoint, text);
  }
}

TEST(ReadWeightsTest, WhatIsNoFileIsRefused) {
  const test::TemporaryFolder folder;
  expect_error([&] { read_weights(folder.path()); }, Failure::checkpoint, "regular file");
  expect_error([&] { read_weights(folder / "none.pth"); }, Failure::checkpoint, "No such file");
}

}  // namespace
}  // namespace lockstep::testing
