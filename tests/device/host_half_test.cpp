// Kernels of half values made of float kernels, and what host devices do to half values themselves.
#include "device/host_half.hpp"

#include <gtest/gtest.h>

#include "base/half.hpp"
#include "device/host_reorder.hpp"
#include "selftest/golden_values.hpp"
#include "support/test_host_device.hpp"

namespace lockstep {
namespace {

OpRegistry& ops() {
  static OpRegistry registry = [] {
    OpRegistry all;
    add_framework_ops(all);
    return all;
  }();
  return registry;
}

template <class H>
std::vector<H> golden_halves(const std::string& name, size_t count) {
  std::vector<H> values;
  for (size_t i = 0; i < count; ++i) values.push_back(from_float<H>(golden_value(name, i)));
  return values;
}

template <class H>
class HostHalfTest : public ::testing::Test {
 protected:
  static constexpr DType kType = DTypeOf<H>::value;
};
using Types = ::testing::Types<Bf16, F16>;
TYPED_TEST_SUITE(HostHalfTest, Types);

TYPED_TEST(HostHalfTest, AddsInFloatAndRoundsOnceWithAnyNumberOfThreads) {
  constexpr size_t kCount = 10'007;
  const TensorType type{this->kType, {kCount}};
  const std::vector<TensorType> inputs{type, type};
  const auto a = golden_halves<TypeParam>("a", kCount), b = golden_halves<TypeParam>("b", kCount);
  for (int threads : {1, 3}) {
    test::TestHostDevice device(threads);
    const auto kernel = device.prepare(
        {"add", "sum", {}, inputs, std::span(&type, 1), ops().at("add"), Mode::training});
    std::vector<std::byte> workspace(static_cast<size_t>(kernel->workspace_bytes()));
    auto y = a;  // in place
    const void* in[] = {y.data(), b.data()};
    void* out[] = {y.data()};
    kernel->launch({in, out, workspace.data()});
    for (size_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(y[i].bits, from_float<TypeParam>(to_float(a[i]) + to_float(b[i])).bits) << i;
    }
  }
}

TYPED_TEST(HostHalfTest, MovesWithoutRounding) {
  const TensorType plain{this->kType, {2, 5, 3, 2}};
  TensorType blocked = plain;
  blocked.layout = Layout::nhwc8c;
  const auto x = golden_halves<TypeParam>("x", 60);
  std::vector<TypeParam> there(static_cast<size_t>(blocked.stored_elements()), TypeParam{0xffff});
  std::vector<TypeParam> back(60);
  reorder(plain, x.data(), blocked, there.data(), 0, 2);
  reorder(blocked, there.data(), plain, back.data(), 0, 2);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(back[i].bits, x[i].bits) << i;
  for (size_t i = 0; i < there.size(); ++i) {
    if (i % 8 >= 5) {
      EXPECT_EQ(there[i].bits, 0) << "channels that fill the block";
    }
  }
}

TYPED_TEST(HostHalfTest, EveryOpOfFloatIsOneOfHalf) {
  test::TestHostDevice device(1);
  EXPECT_TRUE(device.supports("add", {}, this->kType));
  EXPECT_FALSE(device.supports("conv2d", {}, this->kType)) << "no kernel in any type";
}

}  // namespace
}  // namespace lockstep
