// Own kernels where op cases do not go: batches without samples, numbers that are none, casts.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "ops/attributes.hpp"
#include "selftest/checks.hpp"
#include "selftest/golden_values.hpp"
#include "selftest/op_runner.hpp"
#include "shim_device.hpp"
#include "support/test_devices.hpp"

namespace lockstep::test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor numbers(const std::string& key, const Shape& shape) {
  Tensor tensor(DType::f32, shape);
  for (size_t i = 0; i < tensor.count(); ++i) tensor.values()[i] = golden_value(key, i);
  return tensor;
}
Tensor labels(const std::vector<int32_t>& values) {
  Tensor tensor(DType::i32, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.values<int32_t>().begin());
  return tensor;
}

// The op with these inputs on reference and shim: outputs are equal, NaN in the same places.
void expect_equal(const std::string& op, const Attributes& attributes,
                  const std::vector<Tensor>& tensors) {
  SCOPED_TRACE(op);
  Graph graph(Mode::training, test_ops());
  std::vector<Value> values;
  std::vector<const Tensor*> inputs;
  for (const Tensor& tensor : tensors) {
    values.push_back(graph.input("input" + std::to_string(inputs.size()), tensor.type()));
    inputs.push_back(&tensor);
  }
  const Value result = graph.apply(op, values, attributes, op);
  const Node& node = graph.node(result.id());
  cuda::ShimDevice shim;
  const NodeResult expected = run_node(test_device("reference"), graph, node, inputs);
  const NodeResult actual = run_node(shim, graph, node, inputs, {.available = Layout::nhwc8c});
  EXPECT_TRUE(actual.padding_is_zero);
  ASSERT_EQ(actual.outputs.size(), expected.outputs.size());
  for (size_t k = 0; k < expected.outputs.size(); ++k) {
    const std::vector<double> a = actual.outputs[k].numbers(), b = expected.outputs[k].numbers();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < b.size(); ++i) {
      SCOPED_TRACE(concat("output ", k, " element ", i));
      if (std::isfinite(b[i])) {
        EXPECT_NEAR(a[i], b[i], 1e-6 * (1 + std::fabs(b[i])));
      } else {
        EXPECT_TRUE(std::isnan(b[i]) ? std::isnan(a[i]) : a[i] == b[i]) << a[i] << ' ' << b[i];
      }
    }
  }
}

TEST(EmptyBatchTest, SumsToZeroAndWritesNothingElse) {
  const Tensor x(DType::f32, {0, 3, 4, 4}), per_channel = numbers("c", {3}), none({}, {0});
  expect_equal("batch_moments", {}, {x});
  expect_equal("batch_norm_grad_sums", Attributes::of(BatchNormAttributes{}),
               {x, x, per_channel, per_channel});
  expect_equal("relu", {}, {x});
  expect_equal("add", {}, {x, x});
  expect_equal("concat", {}, {x, x});
  const PoolAttributes pool{.kernel = {2, 2}, .stride = {2, 2}};
  expect_equal("max_pool2d", Attributes::of(pool), {x});
  expect_equal("avg_pool2d", Attributes::of(pool), {x});
  const Tensor logits(DType::f32, {0, 10});
  expect_equal("softmax_cross_entropy", Attributes::of(SoftmaxCrossEntropyAttributes{}),
               {logits, labels({}), none});
  expect_equal("classification_metrics", {}, {logits, labels({}), none, none});
}

TEST(NaNTest, PassesReluAndWinsItsWindow) {
  Tensor x = numbers("x", {1, 3, 5, 6});
  for (size_t i : {3, 17, 40, 41}) x.values()[i] = kNaN;
  x.values()[60] = kInfinity;
  x.values()[61] = -kInfinity;
  expect_equal("relu", {}, {x});
  const PoolAttributes pool{.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}};
  expect_equal("max_pool2d", Attributes::of(pool), {x});
}

TEST(NaNTest, StaysInEveryOwnKernelAsInTheReference) {
  Registry registry;
  cuda::ShimDevice shim;
  SelftestReport report;
  check_nans({registry, shim, test_device("reference"), true, ""}, report);
  EXPECT_TRUE(report.passed()) << report_text(report);
  ASSERT_EQ(report.rows.size(), 3u) << "f32, bf16, f16";
  for (const CheckRow& row : report.rows) EXPECT_GT(row.cases, 30);
}

TEST(NaNTest, AndLabelsOutsideOfTheClassesNeverCountAsHits) {
  Tensor logits = numbers("logits", {6, 4});
  logits.values()[0] = kNaN;  // of the label's class
  logits.values()[7] = kNaN;  // of another
  logits.values()[9] = kInfinity;
  const Tensor label = labels({0, 1, 1, -1, 4, 2});
  Tensor weights = numbers("w", {6});
  weights.values()[0] = 0;
  const Tensor losses = numbers("losses", {6});
  expect_equal("classification_metrics", {}, {logits, label, weights, losses});
  expect_equal("softmax_cross_entropy",
               Attributes::of(SoftmaxCrossEntropyAttributes{.label_smoothing = 0.1}),
               {logits, label, weights});
}

TEST(CastTest, RoundsImagesAndFiltersToEvenAndBack) {
  for (const Shape& shape : {Shape{2, 3, 5, 5}, Shape{7, 13}, Shape{9}}) {
    for (DType dtype : {DType::f16, DType::bf16, DType::f32}) {
      expect_equal("cast", Attributes::of(CastAttributes{dtype}), {numbers("x", shape)});
    }
  }
}

}  // namespace
}  // namespace lockstep::test
