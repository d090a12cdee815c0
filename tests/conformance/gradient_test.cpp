// The gradient rules, with the reference device's kernels, against finite differences of the
// forward op.
//
// L = sum of dy * y, summed in double; slopes by Richardson's formula over four points, whose error
// is of fourth order.
#include <gtest/gtest.h>

#include <cmath>

#include "selftest/golden_values.hpp"
#include "selftest/op_cases.hpp"
#include "selftest/op_runner.hpp"
#include "support/test_devices.hpp"

namespace lockstep::test {
namespace {

using Feeds = std::map<std::string, Tensor>;

// A forward evaluation costs one per point and direction, so large cases are left to the other
// tests.
constexpr int64_t kMostMultiplyAdds = 300'000;
constexpr int64_t kMostElements = 20'000;
constexpr double kStep = 1.0 / 32;

// Whether the case can be differentiated numerically.
bool is_smooth_and_small(const OpCase& op_case) {
  const OpDef& op = test_ops().at(op_case.op);
  if (op.gradient == nullptr) return false;
  int64_t elements = 0;
  for (const CaseInput& input : op_case.inputs) {
    if (input.fill == "ties") return false;
    elements += input.shape.numel();
  }
  if (elements > kMostElements) return false;
  if (op.multiply_adds == nullptr) return true;
  const CaseGraph graph = make_graph(op_case, test_ops());
  std::vector<TensorType> types;
  for (const Value& input : graph.inputs) types.push_back(input.type());
  return op.multiply_adds(types, graph.output.type(), op_case.attributes) <= kMostMultiplyAdds;
}

// Numbers of the cases.
std::vector<size_t> smooth_and_small_cases() {
  std::vector<size_t> numbers;
  for (size_t i = 0; i < op_cases().size(); ++i) {
    if (is_smooth_and_small(op_cases()[i])) numbers.push_back(i);
  }
  return numbers;
}

class GradientTest : public ::testing::TestWithParam<size_t> {};

// The loss as a function of the inputs, and its slopes.
class Loss {
 public:
  Loss(const CaseGraph& graph, const Feeds& feeds)
      : forward_(Mode::training, test_ops()), feeds_(feeds) {
    for (int32_t i = 0; i <= graph.output.id().node; ++i) {
      forward_.append(graph.graph->nodes()[static_cast<size_t>(i)]);
    }
  }

  // The derivative along `direction` of the input `name`.
  double slope(const std::string& name, const std::vector<float>& direction) const {
    const auto difference = [&](float step) {
      return at(name, direction, step) - at(name, direction, -step);
    };
    constexpr auto kH = static_cast<float>(kStep);
    return (8 * difference(kH) - difference(2 * kH)) / (12 * kStep);
  }

 private:
  double at(const std::string& name, const std::vector<float>& direction, float step) const {
    Feeds feeds = feeds_;
    std::span<float> values = feeds[name].values();
    for (size_t i = 0; i < values.size(); ++i) values[i] += step * direction[i];
    const auto results = run_graph(test_device("reference"), forward_, feeds);
    const Tensor& y = results.back().outputs[0];
    double loss = 0;
    for (size_t i = 0; i < y.count(); ++i) {
      loss += static_cast<double>(y.values()[i]) * feeds_.at("dy").values()[i];
    }
    return loss;
  }

  Graph forward_;
  Feeds feeds_;
};

double dot(std::span<const float> a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// Two directions of signs, which see every element, then single elements spread over the tensor.
std::vector<std::vector<float>> directions(const std::string& name, size_t count) {
  std::vector<std::vector<float>> result;
  for (const char* key : {"first", "second"}) {
    std::vector<float> direction(count);
    for (size_t i = 0; i < count; ++i)
      direction[i] = golden_value(name + key, i) < 0 ? -1.0f : 1.0f;
    result.push_back(std::move(direction));
  }
  const size_t elements = std::min<size_t>(count, 12);
  for (size_t k = 0; k < elements; ++k) {
    result.emplace_back(count);
    result.back()[k * count / elements] = 1;
  }
  return result;
}

TEST_P(GradientTest, EqualsFiniteDifferences) {
  const OpCase& op_case = op_cases()[GetParam()];
  SCOPED_TRACE(op_case.text);
  const CaseGraph graph = make_graph(op_case, test_ops());
  const Feeds feeds = make_feeds(op_case, *graph.graph);
  const auto results = run_graph(test_device("reference"), *graph.graph, feeds);
  const Loss loss(graph, feeds);
  for (size_t k = 0; k < graph.inputs.size(); ++k) {
    if (!graph.d_inputs[k]) continue;
    const std::string& name = op_case.inputs[k].name;
    const ValueId id = graph.d_inputs[k].id();
    const Tensor& gradient =
        results[static_cast<size_t>(id.node)].outputs[static_cast<size_t>(id.port)];
    ASSERT_EQ(gradient.type().shape, op_case.inputs[k].shape);
    const std::span<const float> values = gradient.values();
    const double norm = std::sqrt(dot(values, {values.begin(), values.end()}));
    for (const std::vector<float>& direction : directions(name, values.size())) {
      EXPECT_NEAR(loss.slope(name, direction), dot(values, direction), 1e-3 * norm + 1e-5)
          << "gradient by " << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GradientTest, ::testing::ValuesIn(smooth_and_small_cases()),
                         [](const auto& info) { return op_cases()[info.param].name; });

}  // namespace
}  // namespace lockstep::test
