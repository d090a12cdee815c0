// Every op and gradient against what PyTorch computes in float64 (ops.tsv, made by ops.py).
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <sstream>

#include "selftest/golden_values.hpp"
#include "selftest/op_cases.hpp"
#include "selftest/op_runner.hpp"
#include "support/test_devices.hpp"

namespace lockstep::test {
namespace {

// A tensor's norm and its products with three fixed vectors.
using Numbers = std::array<double, 4>;
// By tensor ("y0", "d_x").
using Golden = std::map<std::string, Numbers>;

const std::map<std::string, Golden>& goldens() {
  static const std::map<std::string, Golden> goldens = [] {
    std::map<std::string, Golden> result;
    std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/goldens/ops.tsv");
    for (std::string line; std::getline(file, line);) {
      std::stringstream words(line);
      std::string text, tensor;
      std::getline(words, text, '\t');
      std::getline(words, tensor, '\t');
      Numbers& numbers = result[text][tensor];
      for (double& number : numbers) words >> number;
    }
    return result;
  }();
  return goldens;
}

Numbers summarise(const Tensor& tensor) {
  const std::vector<double> values = tensor.numbers();
  Numbers numbers{};
  for (size_t i = 0; i < values.size(); ++i) {
    numbers[0] += values[i] * values[i];
    for (size_t k = 0; k < 3; ++k) {
      numbers[k + 1] += values[i] * golden_value("projection" + std::to_string(k), i);
    }
  }
  numbers[0] = std::sqrt(numbers[0]);
  return numbers;
}

// Numbers of the cases; not of dropout, whose mask is Lockstep's own.
std::vector<size_t> cases_with_goldens() {
  std::vector<size_t> numbers;
  for (size_t i = 0; i < op_cases().size(); ++i) {
    if (op_cases()[i].op != "dropout") numbers.push_back(i);
  }
  return numbers;
}

class OpGoldenTest : public ::testing::TestWithParam<std::tuple<std::string, size_t>> {};

TEST_P(OpGoldenTest, EqualsPyTorchInFloat64) {
  const OpCase& op_case = op_cases()[std::get<1>(GetParam())];
  SCOPED_TRACE(op_case.text);
  ASSERT_TRUE(goldens().contains(op_case.text)) << "not in ops.tsv; make it anew with ops.py";
  const Golden& golden = goldens().at(op_case.text);

  const CaseGraph graph = make_graph(op_case, test_ops());
  Device& device = test_device(std::get<0>(GetParam()));
  // Of a batch norm: the last output is bits, in an order of the device's own.
  const bool masked = op_case.text.find("mask=true") != std::string::npos;
  if (masked && std::get<0>(GetParam()) != "reference") {
    GTEST_SKIP() << device.name() << " has no masks: its plans go without";
  }
  const auto results = run_graph(device, *graph.graph, make_feeds(op_case, *graph.graph));
  size_t compared = 0;
  const auto compare = [&](const std::string& name, ValueId id) {
    ASSERT_TRUE(golden.contains(name)) << name << " is not in ops.tsv; make it anew with ops.py";
    const NodeResult& result = results[static_cast<size_t>(id.node)];
    const Numbers& expected = golden.at(name);
    const Numbers actual = summarise(result.outputs[static_cast<size_t>(id.port)]);
    const bool winograd = result.implementation.find("wino") != std::string::npos;
    const double tolerance = (winograd ? 1e-4 : 1e-5) * expected[0] + 1e-9;
    for (size_t k = 0; k < actual.size(); ++k) {
      EXPECT_NEAR(actual[k], expected[k], tolerance) << name << ", " << result.implementation;
    }
    ++compared;
  };
  const ValueId y = graph.output.id();
  for (size_t k = 0; k + (masked ? 1 : 0) < graph.graph->node(y).outputs.size(); ++k) {
    compare("y" + std::to_string(k), {y.node, static_cast<int32_t>(k)});
  }
  for (size_t k = 0; k < graph.inputs.size(); ++k) {
    if (graph.d_inputs[k]) compare("d_" + op_case.inputs[k].name, graph.d_inputs[k].id());
  }
  EXPECT_EQ(compared, golden.size()) << "ops.tsv holds tensors that were not computed";
}

INSTANTIATE_TEST_SUITE_P(Cases, OpGoldenTest,
                         ::testing::Combine(::testing::Values("reference", "cpu"),
                                            ::testing::ValuesIn(cases_with_goldens())),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" +
                                  op_cases()[std::get<1>(info.param)].name;
                         });

}  // namespace
}  // namespace lockstep::test
