// Headers of safetensors files, and every way to be wrong.
#include <gtest/gtest.h>

#include "support/expect_error.hpp"
#include "weights/weight_files.hpp"

namespace lockstep::testing {
namespace {

std::string file_of(const std::string& header, size_t data_bytes) {
  return number(header.size(), 8) + header + std::string(data_bytes, '\1');
}

constexpr const char* kGood = R"({"a":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]}})";

TEST(SafetensorsTest, ReadsTensorsInAnyOrderWithMetadataAndSpaces) {
  const Weights weights = read_bytes(file_of(
      R"({"b": {"shape": [], "data_offsets": [4, 8], "dtype": "I32"},
          "__metadata__": {"format": "pt", "more": "x"},
          "a": {"dtype": "U8", "shape": [2, 2], "data_offsets": [0, 4]},
          "none": {"dtype": "F32", "shape": [0, 3], "data_offsets": [8, 8]}}   )",
      8));
  ASSERT_EQ(weights.tensors.size(), 3u);
  EXPECT_EQ(weights.tensors.at("a").floats(), std::vector<float>(4, 1));
  EXPECT_EQ(weights.tensors.at("b").floats(), std::vector<float>{16843009.0f});
  EXPECT_EQ(weights.tensors.at("none").shape, Shape({0, 3}));
}

TEST(SafetensorsTest, ThePrefixModuleIsRemovedWhereAllNamesHaveIt) {
  std::string header = R"({"module.a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  EXPECT_TRUE(read_bytes(file_of(header, 1)).tensors.contains("a"));
  header.insert(header.size() - 1, R"(,"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]})");
  EXPECT_TRUE(read_bytes(file_of(header, 2)).tensors.contains("module.a"));
}

TEST(SafetensorsTest, RefusesWrongLengths) {
  const auto refused = [](const std::string& file, std::string_view text) {
    expect_error([&] { read_bytes(file); }, Failure::checkpoint, text);
  };
  refused(file_of(kGood, 3), "the tensors take 4 bytes, and 3 follow");
  refused(file_of(kGood, 5), "the tensors take 4 bytes, and 5 follow");
  refused(number(100'000'001, 8) + kGood, "at most 100000000");
  refused(number(1000, 8) + kGood, "truncated");
  refused(number(~uint64_t{0}, 8) + kGood, "at most 100000000");
  refused(file_of("{}", 0), "no tensors");
}

TEST(SafetensorsTest, RefusesWrongHeaders) {
  const auto tensor = [](const std::string& rest) { return R"({"a":{)" + rest + "}}"; };
  const std::string one = R"("dtype":"U8","shape":[4],"data_offsets":[0,4])";
  const std::string again = R"({"a":{)" + one + "},";
  const std::pair<std::string, const char*> cases[] = {
      {"{", "is no JSON"},
      {"{\"\xff\"}", "is no JSON"},
      {std::string(kGood) + "x", "is no JSON"},
      {R"({"a":1})", "a number out of place"},
      {R"({"a":"x"})", "a text out of place"},
      {R"({"a":[]})", "an array"},
      {R"({"a":null})", "a null"},
      {tensor(one + R"(,"x":1)"), "has the key 'x'"},
      {tensor(one + R"(,"dtype":"U8")"), "dtype is there twice"},
      {tensor(R"("dtype":"U8","shape":[4])"), "incomplete"},
      {tensor(R"("dtype":"U8","shape":[4],"data_offsets":[0])"), "incomplete"},
      {tensor(R"("dtype":"U8","shape":[4],"data_offsets":[0,4,5])"), "more than two"},
      {tensor(R"("dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4])"), "F8_E4M3"},
      {tensor(R"("dtype":"U8","shape":[-4],"data_offsets":[0,4])"), "the number -4"},
      {tensor(R"("dtype":"U8","shape":[4.0],"data_offsets":[0,4])"), "the number 4.0"},
      {tensor(R"("dtype":"U8","shape":[[4]],"data_offsets":[0,4])"), "an array"},
      {tensor(R"("dtype":"U8","shape":[{}],"data_offsets":[0,4])"), "an object within"},
      {tensor(R"("dtype":"U8","shape":[1,1,1,1,1,1,4],"data_offsets":[0,4])"), "more than 6"},
      {tensor(R"("dtype":"U8","shape":[5],"data_offsets":[0,4])"), "4 bytes for u8(5)"},
      {tensor(R"("dtype":"U8","shape":[4294967296,4294967296,4],"data_offsets":[0,4])"), "as many"},
      {tensor(R"("dtype":"U8","shape":[4],"data_offsets":[1,5])"), "expected to begin at 0"},
      {tensor(R"("dtype":"U8","shape":[4],"data_offsets":[4,0])"), "expected to begin at 0"},
      {again + R"("a":{)" + one + "}}", "'a': it is there twice"},
      {again + R"("b":{)" + one + "}}", "expected to begin at 4"},
      {R"({"__metadata__":{"x":1}})", "a number out of place"},
      {R"({"__metadata__":{},"__metadata__":{}})", "twice"},
  };
  for (const auto& [header, text] : cases) {
    expect_error([&, &json = header] { read_bytes(file_of(json, 4)); }, Failure::checkpoint, text);
  }
}

TEST(SafetensorsTest, DeepNestingEndsAtOnce) {
  expect_error([] { read_bytes(file_of("{\"a\":" + std::string(1000000, '['), 0)); },
               Failure::checkpoint, "an array");
  expect_error(
      [] {
        std::string header;
        for (int i = 0; i < 100000; ++i) header += "{\"shape\":";
        read_bytes(file_of(header, 0));
      },
      Failure::checkpoint, "an object within");
}

}  // namespace
}  // namespace lockstep::testing
