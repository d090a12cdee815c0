// The launches around cuDNN's plans and over whole arenas, as host code.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/half.hpp"
#include "device/simt_functors.hpp"
#include "own.hpp"
#include "selftest/golden_values.hpp"
#include "shim_device.hpp"

namespace lockstep::cuda {
namespace {

std::vector<float> numbers(const std::string& key, size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = golden_value(key, i);
  return values;
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// --- filters

TEST(FilterTest, GoesToChannelsLastAndBackWithZerosBehind) {
  for (const FilterShape& shape :
       {FilterShape{5, 3, 3, 3, 8, 8}, FilterShape{40, 70, 1, 1, 40, 72},
        FilterShape{2, 33, 7, 7, 2, 40}, FilterShape{8, 4, 1, 5, 8, 8},
        FilterShape{9, 2, 3, 3, 16, 8, 3}, FilterShape{66, 17, 1, 2, 72, 56, 3}}) {
    const int64_t pixels = shape.height * shape.width;
    const auto w = numbers("w", static_cast<size_t>(shape.out * shape.in * pixels));
    std::vector<float> krsc(static_cast<size_t>(shape.stored_out * pixels * shape.stored_in), kNaN);
    pack_filter(shape, DType::f32, w.data(), krsc.data(), nullptr);
    for (int64_t i = 0; i < static_cast<int64_t>(krsc.size()); ++i) {
      const int64_t c = i % shape.stored_in, pixel = i / shape.stored_in % pixels;
      const int64_t o = i / shape.stored_in / pixels;
      const int64_t own = c - o / (shape.out / shape.groups) * shape.in;
      const bool exists = o < shape.out && own >= 0 && own < shape.in;
      const float expected =
          exists ? w[static_cast<size_t>((o * shape.in + own) * pixels + pixel)] : 0.0f;
      ASSERT_EQ(krsc[static_cast<size_t>(i)], expected) << i;
    }
    std::vector<float> back(w.size(), kNaN);
    unpack_filter(shape, DType::f32, krsc.data(), back.data(), nullptr);
    EXPECT_EQ(back, w);
  }
}

TEST(FilterTest, FoldsABatchNormThatFollows) {
  const FilterShape shape{3, 2, 1, 2, 8, 8};
  const auto w = numbers("w", 12), b = numbers("b", 3), bn_w = numbers("bn_w", 3);
  const auto bn_b = numbers("bn_b", 3), mean = numbers("mean", 3);
  const std::vector<float> variance = {0.5f, 1.0f, 2.0f};
  const FoldedBatchNorm folded{b.data(),    bn_w.data(),     bn_b.data(),
                               mean.data(), variance.data(), 1e-3};
  std::vector<float> krsc(8 * 2 * 8, kNaN), bias(8, kNaN);
  fold_filter(shape, DType::f32, w.data(), DType::f32, folded, krsc.data(), bias.data(), nullptr);
  for (size_t o = 0; o < 8; ++o) {
    const double scale = o < 3 ? bn_w[o] / std::sqrt(variance[o] + 1e-3) : 0;
    const double shift = o < 3 ? (b[o] - mean[o]) * scale + bn_b[o] : 0;
    EXPECT_NEAR(bias[o], shift, 1e-6);
    for (size_t pixel = 0; pixel < 2; ++pixel) {
      for (size_t c = 0; c < 8; ++c) {
        const double expected = o < 3 && c < 2 ? w[(o * 2 + c) * 2 + pixel] * scale : 0;
        EXPECT_NEAR(krsc[(o * 2 + pixel) * 8 + c], expected, 1e-6);
      }
    }
  }
  const FilterShape grouped{4, 1, 1, 1, 8, 8, 2};
  fold_filter(grouped, DType::f32, w.data(), DType::f32, {}, krsc.data(), nullptr, nullptr);
  for (size_t o = 0; o < 8; ++o) {
    for (size_t c = 0; c < 8; ++c) EXPECT_EQ(krsc[o * 8 + c], o < 4 && c == o / 2 ? w[o] : 0);
  }
  const FoldedBatchNorm none{b.data(), nullptr, nullptr, nullptr, nullptr, 0};
  fold_filter(shape, DType::f32, w.data(), DType::f32, none, krsc.data(), bias.data(), nullptr);
  EXPECT_EQ(krsc[0], w[0]);
  EXPECT_EQ(bias[2], b[2]);
}

// --- rows

TEST(RowsTest, AddsBiasShortcutAndReluToAlignedAndUnalignedRows) {
  for (const int64_t stored : {16, 10}) {
    const int64_t rows = 37, channels = 10;
    std::vector<float> y = numbers("y", static_cast<size_t>(rows * stored));
    auto residual = numbers("residual", y.size());
    const auto bias = numbers("bias", 10);
    for (size_t i = 0; i < y.size(); ++i) {
      if (static_cast<int64_t>(i) % stored >= channels) y[i] = residual[i] = 0;
    }
    const std::vector<float> before = y;
    add_epilogue({rows, channels, stored, bias.data(), residual.data(), true}, DType::f32, y.data(),
                 nullptr);
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t c = i % static_cast<size_t>(stored);
      const float sum = c < 10 ? before[i] + bias[c] + residual[i] : 0.0f;
      ASSERT_EQ(y[i], std::max(sum, 0.0f));
    }
  }
}

TEST(RowsTest, SumsRowsOfEveryType) {
  for (const int64_t stored : {1000, 10, 24}) {
    const int64_t rows = 333, channels = std::min<int64_t>(stored, 17);
    const auto x = numbers("x", static_cast<size_t>(rows * stored));
    std::vector<Bf16> half(x.size());
    convert(x.data(), DType::f32, half.data(), DType::bf16, static_cast<int64_t>(x.size()),
            nullptr);
    std::vector<char> workspace(static_cast<size_t>(sum_rows_workspace_bytes(rows, stored)),
                                '\xff');
    for (DType dtype : {DType::f32, DType::bf16}) {
      std::vector<float> sums(static_cast<size_t>(channels), kNaN);
      const void* const data =
          dtype == DType::f32 ? static_cast<const void*>(x.data()) : half.data();
      sum_rows(rows, channels, stored, dtype, data, sums.data(), workspace.data(), nullptr);
      for (int64_t c = 0; c < channels; ++c) {
        double expected = 0;
        for (int64_t r = 0; r < rows; ++r) {
          const auto i = static_cast<size_t>(r * stored + c);
          expected += dtype == DType::f32 ? x[i] : to_float(half[i]);
        }
        EXPECT_NEAR(sums[static_cast<size_t>(c)], expected, 1e-6 * (1 + std::fabs(expected)));
      }
    }
  }
}

TEST(RowsTest, SumOfNoRowsIsZero) {
  std::vector<float> sums(10, kNaN);
  std::vector<char> workspace(static_cast<size_t>(sum_rows_workspace_bytes(0, 10)));
  sum_rows(0, 10, 16, DType::f32, nullptr, sums.data(), workspace.data(), nullptr);
  EXPECT_EQ(sums, std::vector<float>(10, 0.0f));
}

TEST(RowsTest, PadsArraysAndTurnsStatisticsThereAndBack) {
  const std::vector<float> variance = {0.25f, 1.0f, 3.0f, 0.0f};
  std::vector<float> padded(7, kNaN), inverse(4), back(4);
  pad_floats(variance.data(), 4, 1.5f, padded.data(), 7, nullptr);
  EXPECT_EQ(padded, (std::vector<float>{0.25f, 1.0f, 3.0f, 0.0f, 1.5f, 1.5f, 1.5f}));
  inv_std_of_variance(variance.data(), 4, 1e-5, inverse.data(), nullptr);
  variance_of_inv_std(inverse.data(), 4, 1e-5, back.data(), nullptr);
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(back[i], variance[i], 1e-6);
}

TEST(ConvertTest, GivesTheBitsOfTheHostInAllTypes) {
  std::vector<float> x = numbers("x", 1003);
  x[5] = kNaN;
  x[6] = std::numeric_limits<float>::infinity();
  x[7] = 1e-7f;
  std::vector<F16> f16(x.size());
  std::vector<Bf16> bf16(x.size());
  const auto count = static_cast<int64_t>(x.size());
  convert(x.data(), DType::f32, f16.data(), DType::f16, count, nullptr);
  convert(f16.data(), DType::f16, bf16.data(), DType::bf16, count, nullptr);
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(f16[i].bits, from_float<F16>(x[i]).bits);
    ASSERT_EQ(bf16[i].bits, from_float<Bf16>(to_float(f16[i])).bits);
  }
}

// --- arenas

class ArenaTest : public ::testing::Test {
 protected:
  void launch(Kernel& kernel, std::vector<const void*> inputs, std::vector<void*> outputs) {
    std::vector<char> workspace(static_cast<size_t>(kernel.workspace_bytes()), '\xff');
    kernel.launch({inputs, outputs, workspace.data(), nullptr});
  }
};

TEST_F(ArenaTest, SquaredNormIsASumInDouble) {
  for (const int64_t count : {0, 1, 257, 40001}) {
    const auto g = numbers("g", static_cast<size_t>(count));
    double expected = 0, norm = -1;
    for (float value : g) expected += static_cast<double>(value) * value;
    launch(*make_squared_norm_kernel(count), {g.data()}, {&norm});
    EXPECT_NEAR(norm, expected, 1e-12 * (1 + expected));
  }
}

TEST_F(ArenaTest, AccumulatesAndForgetsWhatIsNotKept) {
  const auto b = numbers("b", 1003);
  std::vector<float> a = numbers("a", 1003);
  const std::vector<float> before = a;
  launch(*make_accumulate_kernel(1003, 0.9, 0.1), {b.data()}, {a.data()});
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_FLOAT_EQ(a[i], 0.9f * before[i] + 0.1f * b[i]);
  }
  a.assign(a.size(), kNaN);
  launch(*make_accumulate_kernel(1003, 0, 2), {b.data()}, {a.data()});
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], 2 * b[i]);
}

}  // namespace
}  // namespace lockstep::cuda
