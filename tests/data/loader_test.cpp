#include "data/loader.hpp"

#include <thread>

#include "data/support.hpp"
#include "support/expect_error.hpp"

namespace lockstep {
namespace {

using testing::CountingDataset;
using testing::expect_error;
using testing::MemoryDevice;

using Transforms = std::vector<std::unique_ptr<Transform>>;

// Adds a random number to every pixel.
class AddNoise final : public Transform {
 public:
  Shape output(const Shape& input) const override { return input; }
  void apply(Image& image, Image&, RandomStream& random) const override {
    for (int64_t i = 0; i < image.bytes(); ++i)
      image.data()[i] += static_cast<uint8_t>(random.next());
  }
};

// Says it keeps the size, and does not.
class Shrink final : public Transform {
 public:
  Shape output(const Shape& input) const override { return input; }
  void apply(Image& image, Image&, RandomStream&) const override { image.resize(1, 1, 2); }
};

struct Copied {
  int64_t samples;
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  std::vector<float> weights;
  std::vector<int64_t> indices;
  friend bool operator==(const Copied&, const Copied&) = default;
};

Copied copy(const Batch& b) {
  return {b.samples,
          {b.images, b.images + b.capacity * 4},
          {b.labels, b.labels + b.capacity},
          {b.weights, b.weights + b.capacity},
          {b.indices, b.indices + b.capacity}};
}

std::vector<Slice> slices_of(int64_t size, int64_t batch) {
  std::vector<Slice> slices;
  for (int64_t i = 0; i < size; i += batch) slices.push_back({i, std::min(i + batch, size)});
  return slices;
}

constexpr int64_t kSize = 103;
constexpr int64_t kBatch = 16;

std::vector<Copied> read_epoch(Loader& loader, int64_t epoch, bool shuffle, int64_t size = kSize) {
  const std::vector<Slice> slices = slices_of(size, kBatch);
  loader.start(epoch, sample_order(size, shuffle, 1, epoch), slices);
  std::vector<Copied> batches;
  for (size_t i = 0; i < slices.size(); ++i) {
    const Batch batch = loader.next();
    batches.push_back(copy(batch));
    loader.release(batch);
  }
  return batches;
}

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() { transforms.push_back(std::make_unique<AddNoise>()); }
  ~LoaderTest() override { EXPECT_EQ(device.live, 0) << "memory was not given back"; }
  LoaderOptions with(int workers) const {
    return {.seed = 1, .workers = workers, .capacity = kBatch, .ring = 3, .class_weights = {}};
  }

  CountingDataset dataset{kSize};
  Transforms transforms, none;
  MemoryDevice device;
};

TEST_F(LoaderTest, GivesTheSameBatchesForAnyNumberOfWorkers) {
  Loader one(dataset, transforms, with(0), device);
  const auto expected = read_epoch(one, 3, true);
  for (int workers : {1, 2, 3, 8, 33}) {
    Loader loader(dataset, transforms, with(workers), device);
    EXPECT_EQ(read_epoch(loader, 3, true), expected) << workers << " workers";
  }
}

TEST_F(LoaderTest, DrawsAnewInEveryEpochAndTheSameForASampleWhereverItLies) {
  Loader loader(dataset, transforms, with(2), device);
  const auto shuffled = read_epoch(loader, 1, true), ordered = read_epoch(loader, 1, false);
  const auto pixel_of_7 = [](const std::vector<Copied>& batches) {
    for (const Copied& batch : batches) {
      for (size_t i = 0; i < static_cast<size_t>(batch.samples); ++i) {
        if (batch.indices[i] == 7)
          return std::vector<uint8_t>(&batch.pixels[4 * i], &batch.pixels[4 * i] + 4);
      }
    }
    return std::vector<uint8_t>();
  };
  EXPECT_EQ(pixel_of_7(shuffled), pixel_of_7(ordered));
  EXPECT_NE(pixel_of_7(read_epoch(loader, 2, false)), pixel_of_7(ordered));
}

TEST_F(LoaderTest, GivesEverySampleExactlyOnce) {
  Loader loader(dataset, none, with(3), device);
  std::vector<int> seen(kSize);
  for (const Copied& batch : read_epoch(loader, 1, true)) {
    for (size_t i = 0; i < static_cast<size_t>(batch.samples); ++i) {
      ++seen[static_cast<size_t>(batch.indices[i])];
      EXPECT_EQ(batch.labels[i], batch.indices[i] % 10);
      EXPECT_EQ(batch.pixels[4 * i], batch.indices[i]);
    }
  }
  EXPECT_EQ(seen, std::vector<int>(kSize, 1));
  EXPECT_EQ(dataset.reads, kSize);
}

TEST_F(LoaderTest, KeepsFileOrderUnshuffled) {
  Loader loader(dataset, none, with(3), device);
  int64_t expected = 0;
  for (const Copied& batch : read_epoch(loader, 1, false)) {
    for (size_t i = 0; i < static_cast<size_t>(batch.samples); ++i)
      EXPECT_EQ(batch.indices[i], expected++);
  }
  EXPECT_EQ(expected, kSize);
}

TEST_F(LoaderTest, FillsUnusedPlacesWithZeroWeight) {
  for (int workers : {0, 2}) {
    Loader loader(dataset, transforms, with(workers), device);
    const Copied last = read_epoch(loader, 1, true).back();
    ASSERT_EQ(last.samples, kSize % kBatch);
    for (size_t i = 0; i < kBatch; ++i) {
      const bool real = i < kSize % kBatch;
      EXPECT_EQ(last.weights[i], real ? 1.0f : 0.0f);
      if (real) continue;
      EXPECT_EQ(last.labels[i], 0);
      for (size_t k = 0; k < 4; ++k) EXPECT_EQ(last.pixels[4 * i + k], 0);
    }
  }
}

TEST_F(LoaderTest, GivesAnEmptyBatchForAnEmptySlice) {
  Loader loader(dataset, none, with(2), device);
  loader.start(1, sample_order(kSize, false, 1, 1), {{5, 5}, {5, 7}});
  const Batch empty = loader.next();
  EXPECT_EQ(empty.samples, 0);
  for (int64_t i = 0; i < kBatch; ++i) EXPECT_EQ(empty.weights[i], 0.0f);
  const Batch two = loader.next();
  EXPECT_EQ(two.samples, 2);
  EXPECT_EQ(two.indices[0], 5);
}

TEST_F(LoaderTest, WeighsSamplesByClass) {
  LoaderOptions options = with(1);
  for (int k = 0; k < 10; ++k) options.class_weights.push_back(static_cast<float>(k) / 4);
  Loader loader(dataset, none, options, device);
  for (const Copied& batch : read_epoch(loader, 1, false)) {
    for (size_t i = 0; i < static_cast<size_t>(batch.samples); ++i) {
      EXPECT_EQ(batch.weights[i], static_cast<float>(batch.labels[i]) / 4);
    }
  }
}

TEST_F(LoaderTest, KeepsABatchUntilItIsReleased) {
  Loader loader(dataset, transforms, with(3), device);
  const auto slices = slices_of(kSize, kBatch);
  const auto expected = read_epoch(loader, 1, true);
  loader.start(1, sample_order(kSize, true, 1, 1), slices);
  const Batch first = loader.next(), second = loader.next(), third = loader.next();
  std::this_thread::sleep_for(
      std::chrono::milliseconds(20));  // workers have had the time to do harm
  EXPECT_EQ(copy(first), expected[0]);
  EXPECT_EQ(copy(second), expected[1]);
  EXPECT_EQ(copy(third), expected[2]);
  loader.release(first);
  EXPECT_EQ(copy(loader.next()), expected[3]);
}

TEST_F(LoaderTest, ReadsAheadNoFurtherThanTheRing) {
  Loader loader(dataset, none, with(2), device);
  loader.start(1, sample_order(kSize, true, 1, 1), slices_of(kSize, kBatch));
  for (int i = 0; i < 1000 && dataset.reads < 3 * kBatch; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(dataset.reads, 3 * kBatch);
}

TEST_F(LoaderTest, StopsInTheMiddleOfAnEpoch) {
  CountingDataset large(100000);
  for (int i = 0; i < 20; ++i) {
    Loader loader(large, transforms, with(3), device);
    loader.start(1, sample_order(large.size(), true, 1, 1), slices_of(large.size(), kBatch));
    for (int batch = 0; batch < i % 4; ++batch) loader.next();
  }
}

TEST_F(LoaderTest, StartsAnewInTheMiddleOfAnEpoch) {
  Loader reference(dataset, transforms, with(0), device);
  const auto expected = read_epoch(reference, 2, true);
  Loader loader(dataset, transforms, with(3), device);
  for (int i = 0; i < 20; ++i) {
    loader.start(1, sample_order(kSize, true, 1, 1), slices_of(kSize, kBatch));
    for (int batch = 0; batch < i % 4; ++batch) loader.next();
    EXPECT_EQ(read_epoch(loader, 2, true), expected);
  }
}

TEST_F(LoaderTest, IgnoresTheReleaseOfABatchOfAnEndedEpoch) {
  Loader loader(dataset, none, with(1), device);
  loader.start(1, sample_order(kSize, false, 1, 1), slices_of(kSize, kBatch));
  const Batch old = loader.next();
  loader.start(2, sample_order(kSize, false, 1, 2), slices_of(kSize, kBatch));
  loader.release(old);
  EXPECT_EQ(loader.next().indices[0], 0);
}

TEST_F(LoaderTest, ThrowsAWorkersErrorWithTheBatchItBelongsTo) {
  dataset.bad = 37;
  for (int workers : {0, 1, 3}) {
    Loader loader(dataset, none, with(workers), device);
    loader.start(1, sample_order(kSize, false, 1, 1), slices_of(kSize, kBatch));
    loader.release(loader.next());
    loader.release(loader.next());
    expect_error([&] { loader.next(); }, Failure::data, "sample 37: bad.bin: record 37: damaged");
    dataset.bad = -1;
    EXPECT_EQ(read_epoch(loader, 2, false).size(), 7u) << "the loader goes on after an error";
    dataset.bad = 37;
  }
}

TEST_F(LoaderTest, RefusesALabelOutOfRange) {
  dataset.out_of_range = 3;
  Loader loader(dataset, none, with(1), device);
  expect_error([&] { read_epoch(loader, 1, false); }, Failure::data,
               "sample 3: label 10; expected 0 to 9");
}

TEST_F(LoaderTest, RefusesAPictureOfAnotherSize) {
  Transforms shrink;
  shrink.push_back(std::make_unique<Shrink>());
  Loader loader(dataset, shrink, with(1), device);
  expect_error([&] { read_epoch(loader, 1, false); }, Failure::data,
               "sample 0: the picture is (1, 1, 2) after the transforms; expected (1, 2, 2)");
}

TEST_F(LoaderTest, CountsTheTimeSpentWaiting) {
  Loader loader(dataset, none, with(0), device);
  read_epoch(loader, 1, false);
  EXPECT_GT(loader.take_wait_seconds(), 0.0);
  EXPECT_EQ(loader.take_wait_seconds(), 0.0);
}

}  // namespace
}  // namespace lockstep
