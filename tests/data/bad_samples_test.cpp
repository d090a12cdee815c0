// Samples that cannot be read: left out of their batch, named once, and too many of them an error.
#include "data/bad_samples.hpp"

#include <algorithm>

#include "data/loader.hpp"
#include "data/support.hpp"
#include "support/expect_error.hpp"

namespace lockstep {
namespace {

using testing::CountingDataset;
using testing::expect_error;
using testing::MemoryDevice;

constexpr int64_t kSize = 20;
constexpr int64_t kBatch = 8;

// Every sample whose number ends with 3 or 7 is damaged.
class DamagedDataset final : public Dataset {
 public:
  const DatasetSpec& spec() const override { return sound_.spec(); }
  int64_t size() const override { return kSize; }
  int64_t read(int64_t index, Image& image) const override {
    const int64_t label = sound_.read(index, image);
    if (index % 10 == 3 || index % 10 == 7) fail(Failure::data, index, ".jpg: damaged");
    return label;
  }

 private:
  CountingDataset sound_{kSize};
};

class BadSamplesTest : public ::testing::Test {
 protected:
  ~BadSamplesTest() override { EXPECT_EQ(device.live, 0); }

  LoaderOptions options(int workers, std::shared_ptr<BadSamples> bad) const {
    return {.seed = 1,
            .workers = workers,
            .capacity = kBatch,
            .class_weights = std::vector<float>(10, 0.5f),
            .bad_samples = std::move(bad)};
  }
  // Reads all batches; what each sample's weight was.
  static std::vector<float> weights_of(Loader& loader) {
    loader.start(1, sample_order(kSize, true, 1, 1), {{0, 8}, {8, 16}, {16, 20}});
    std::vector<float> weights(kSize, -1);
    for (int i = 0; i < 3; ++i) {
      const Batch batch = loader.next();
      for (int64_t k = 0; k < batch.samples; ++k) {
        weights[static_cast<size_t>(batch.indices[k])] = batch.weights[k];
        if (batch.weights[k] != 0) continue;
        EXPECT_EQ(batch.labels[k], 0);
        const uint8_t* pixels = batch.images + 4 * k;
        EXPECT_TRUE(std::all_of(pixels, pixels + 4, [](uint8_t pixel) { return pixel == 0; }));
      }
      loader.release(batch);
    }
    return weights;
  }

  DamagedDataset dataset;
  std::vector<std::unique_ptr<Transform>> none;
  MemoryDevice device;
};

TEST_F(BadSamplesTest, AreLeftOutOfTheirBatchAndNamedOnce) {
  for (int workers : {0, 1, 3}) {
    const auto bad = std::make_shared<BadSamples>(4);
    Loader loader(dataset, none, options(workers, bad), device);
    ::testing::internal::CaptureStderr();
    for (int epoch = 0; epoch < 2; ++epoch) {
      const std::vector<float> weights = weights_of(loader);
      for (size_t i = 0; i < kSize; ++i)
        EXPECT_EQ(weights[i], i % 10 == 3 || i % 10 == 7 ? 0.0f : 0.5f) << i;
    }
    const std::string warnings = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(std::count(warnings.begin(), warnings.end(), '\n'), 4) << warnings;
    EXPECT_NE(warnings.find("left out a bad sample: 17.jpg: damaged"), std::string::npos);
    EXPECT_EQ(bad->count(), 4) << "different ones are counted, not readings";
  }
}

TEST_F(BadSamplesTest, MoreThanTheQuotaEndTheRunWithTheLastNames) {
  const auto bad = std::make_shared<BadSamples>(3);
  Loader loader(dataset, none, options(0, bad), device);
  ::testing::internal::CaptureStderr();
  expect_error([&] { weights_of(loader); }, Failure::data,
               "4 samples cannot be read; expected at most 3 (data.max_bad_samples)");
  ::testing::internal::GetCapturedStderr();
}

TEST_F(BadSamplesTest, AnEmptyQuotaNamesTheFirst) {
  const auto bad = std::make_shared<BadSamples>(0);
  ::testing::internal::CaptureStderr();
  expect_error([&] { bad->add(dataset, 3, Error(Failure::data, "3.jpg: damaged")); }, Failure::data,
               "3.jpg: damaged");
  ::testing::internal::GetCapturedStderr();
}

TEST_F(BadSamplesTest, SamplesOfTwoSetsAreDifferent) {
  const DamagedDataset other;
  BadSamples bad(10);
  const Error reason(Failure::data, "damaged");
  ::testing::internal::CaptureStderr();
  bad.add(dataset, 3, reason);
  bad.add(other, 3, reason);
  bad.add(dataset, 3, reason);
  ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(bad.count(), 2);
}

// Not the sample's fault: a picture of another size shows that the recipe lacks a transform.
class Shrink final : public Transform {
 public:
  Shape output(const Shape& input) const override { return input; }
  void apply(Image& image, Image&, RandomStream&) const override { image.resize(1, 1, 2); }
};

TEST_F(BadSamplesTest, WhatTheRecipeLacksIsStillAnError) {
  const auto bad = std::make_shared<BadSamples>(100);
  none.push_back(std::make_unique<Shrink>());
  Loader loader(dataset, none, options(0, bad), device);
  loader.start(1, {0}, {{0, 1}});
  expect_error([&] { loader.next(); }, Failure::data, "add a transform that gives them one");
  EXPECT_EQ(bad->count(), 0);
}

}  // namespace
}  // namespace lockstep
