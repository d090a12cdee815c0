// What devices on host memory share: division of work, memory, arena kernels, reorders, the dropout
// mask.
#include "device/host_device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "device/dropout_mask.hpp"
#include "device/host_reorder.hpp"
#include "plugin/plugin.hpp"
#include "selftest/golden_values.hpp"
#include "selftest/op_runner.hpp"
#include "support/test_devices.hpp"
#include "support/test_host_device.hpp"

namespace lockstep::test {
namespace {

using ::testing::HasSubstr;

std::vector<float> golden_vector(const std::string& name, size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = golden_value(name, i);
  return values;
}

TEST(HostDeviceTest, DividesWorkOnceAtMultiplesOfTheGrain) {
  for (int threads : {1, 2, 3, 7}) {
    TestHostDevice device(threads);
    for (int64_t count : {0, 1, 4, 5, 31, 32, 33, 1000}) {
      std::vector<int> visits(static_cast<size_t>(count));
      int parts = 0;
      device.parallel_for(count, 4, [&](int64_t begin, int64_t end) {
        EXPECT_LT(begin, end);
        EXPECT_EQ(begin % 4, 0);
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        ++parts;
      });
      EXPECT_LE(parts, threads);
      EXPECT_EQ(std::accumulate(visits.begin(), visits.end(), int64_t{0}), count);
      EXPECT_THAT(visits, ::testing::Each(1));
    }
  }
}

TEST(HostDeviceTest, AllocatesAlignedMemory) {
  TestHostDevice device(1);
  for (int64_t bytes : {0, 1, 63, 64, 65, 4096}) {
    void* memory = device.allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
    device.release(memory);
  }
}

TEST(HostDeviceTest, SaysHowMuchMemoryWasWanted) {
  TestHostDevice device(1);
  try {
    device.allocate(INT64_MAX - 100);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), Failure::device);
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(INT64_MAX - 100)));
  }
}

TEST(HostDeviceTest, NamesOpAndLabelWhereThereIsNoKernel) {
  TestHostDevice device(1);
  const TensorType type{DType::f32, {4}};
  const OpDef definition{.name = "fancy", .help = "", .infer = nullptr};
  try {
    device.prepare({"fancy",
                    "layer1.conv",
                    {},
                    std::span(&type, 1),
                    std::span(&type, 1),
                    definition,
                    Mode::training});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), Failure::device);
    EXPECT_THAT(error.what(), HasSubstr("fancy"));
    EXPECT_THAT(error.what(), HasSubstr("layer1.conv"));
  }
}

// w -= lr * (g + slot), slot += 1
struct CountingOptimizer {
  static constexpr int slots = 1;
  void operator()(StepInfo step, float& w, float g, Slots<1> slot) const {
    w -= step.lr * (g + slot[0]);
    slot[0] += 1;
  }
};
[[maybe_unused]] void describe(Options<CountingOptimizer>&) {}

TEST(HostDeviceTest, UpdatesExactlyTheSegmentsWithTheirGroupsRate) {
  constexpr size_t kCount = 30'000;
  const auto optimizer =
      std::make_shared<detail::FunctorOptimizer<CountingOptimizer>>(CountingOptimizer{});
  const std::vector<UpdateGroup> groups{{optimizer, 1}, {optimizer, 0.5f}};
  const std::vector<UpdateSegment> segments{
      {16, 10, 1}, {64, 0, 0}, {64, 20'000, 0}, {20'480, 9'000, 1}};
  for (int threads : {1, 3}) {
    TestHostDevice device(threads);
    const std::vector<float> g = golden_vector("g", kCount);
    std::vector<float> w(kCount, 1), slot(kCount, 2);
    const StepInfo step{.lr = 0.5f, .gradient_scale = 2};
    const void* inputs[] = {g.data(), &step};
    void* outputs[] = {w.data(), slot.data()};
    const auto kernel = device.prepare_update({"counting", groups, segments});
    kernel->launch({inputs, outputs});

    for (size_t i = 0; i < kCount; ++i) {
      float rate = 0;
      for (const UpdateSegment& segment : segments) {
        const auto place = static_cast<int64_t>(i) - segment.offset;
        if (place >= 0 && place < segment.count) rate = segment.group == 1 ? 0.25f : 0.5f;
      }
      ASSERT_FLOAT_EQ(w[i], rate == 0 ? 1 : 1 - rate * (2 * g[i] + 2)) << i;
      ASSERT_EQ(slot[i], rate == 0 ? 2 : 3) << i;
    }
  }
}

TEST(HostDeviceTest, SquaredNormIsTheSameBitsForAnyNumberOfThreads) {
  const std::vector<float> g = golden_vector("g", 50'003);
  double expected = 0;
  for (float value : g) expected += static_cast<double>(value) * value;
  std::vector<double> norms;
  for (int threads : {1, 2, 5}) {
    TestHostDevice device(threads);
    const auto kernel = device.prepare_squared_norm(static_cast<int64_t>(g.size()));
    std::vector<char> workspace(static_cast<size_t>(kernel->workspace_bytes()));
    const void* inputs[] = {g.data()};
    norms.push_back(-1);
    void* outputs[] = {&norms.back()};
    kernel->launch({inputs, outputs, workspace.data()});
  }
  EXPECT_NEAR(norms[0], expected, 1e-10 * expected);
  EXPECT_THAT(norms, ::testing::Each(norms[0]));
}

TEST(HostDeviceTest, AccumulatesWithWeights) {
  TestHostDevice device(2);
  std::vector<float> a = golden_vector("a", 10'000);
  const std::vector<float> before = a, b = golden_vector("b", a.size());
  const void* inputs[] = {b.data()};
  void* outputs[] = {a.data()};
  device.prepare_accumulate(static_cast<int64_t>(a.size()), 0.75, 0.25)->launch({inputs, outputs});
  for (size_t i = 0; i < a.size(); ++i) ASSERT_FLOAT_EQ(a[i], 0.75f * before[i] + 0.25f * b[i]);
}

TEST(ReorderTest, RoundTripsBetweenAnyTwoLayoutsAndFillsPaddingWithZeros) {
  constexpr Layout kLayouts[] = {Layout::plain, Layout::nhwc, Layout::nchw8c, Layout::nchw16c,
                                 Layout::nhwc8c};
  for (int64_t channels : {1, 3, 8, 10, 16, 17}) {
    const TensorType plain{DType::f32, {2, channels, 3, 5}};
    const std::vector<float> values =
        golden_vector("x", static_cast<size_t>(plain.stored_elements()));
    for (Layout from : kLayouts) {
      for (Layout to : kLayouts) {
        const TensorType first{DType::f32, plain.shape, from}, second{DType::f32, plain.shape, to};
        std::vector<float> a(static_cast<size_t>(first.stored_elements()), NAN);
        std::vector<float> b(static_cast<size_t>(second.stored_elements()), NAN);
        std::vector<float> back(values.size(), NAN);
        reorder(plain, values.data(), first, a.data(), 0, 2);
        reorder(first, a.data(), second, b.data(), 0, 2);
        reorder(second, b.data(), plain, back.data(), 0, 2);
        EXPECT_EQ(back, values);
        const double sum =
            std::accumulate(b.begin(), b.end(), 0.0);  // NaN where padding is not zero
        EXPECT_NEAR(sum, std::accumulate(values.begin(), values.end(), 0.0), 1e-9);
        EXPECT_EQ(b[static_cast<size_t>(element_offset(second, 1, channels - 1, 2, 4))],
                  values.back());
      }
    }
  }
}

TEST(DropoutMaskTest, DependsOnSeedEpochLayerSampleAndElementAlone) {
  const int64_t key[2] = {1, 2}, other_seed[2] = {3, 2}, other_epoch[2] = {1, 3};
  const auto words = dropout_words(key, 4, 5, 6);
  EXPECT_EQ(words, dropout_words(key, 4, 5, 6));
  EXPECT_NE(words, dropout_words(other_seed, 4, 5, 6));
  EXPECT_NE(words, dropout_words(other_epoch, 4, 5, 6));
  EXPECT_NE(words, dropout_words(key, 7, 5, 6));
  EXPECT_NE(words, dropout_words(key, 4, 7, 6));
  EXPECT_NE(words, dropout_words(key, 4, 5, 7));
}

TEST(DropoutMaskTest, KeepsTheWishedShareAndTheMean) {
  const int64_t key[2] = {1, 1};
  for (double probability : {0.1, 0.5, 0.8}) {
    int64_t kept = 0;
    constexpr int64_t kQuads = 25'000;
    for (int64_t quad = 0; quad < kQuads; ++quad) {
      for (uint32_t word : dropout_words(key, 9, 0, quad))
        kept += word >= dropout_threshold(probability);
    }
    const double share = static_cast<double>(kept) / (4 * kQuads);
    EXPECT_NEAR(share, 1 - probability, 0.01);  // six deviations of the binomial
    EXPECT_NEAR(share * dropout_scale(probability), 1, 0.05);
  }
}

}  // namespace
}  // namespace lockstep::test
