// Every op case with bf16 and f16: on the reference device against its own float32, and on the cpu
// device against the reference.
#include <gtest/gtest.h>

#include <cmath>

#include "base/half.hpp"
#include "device/host_half.hpp"
#include "ops/attributes.hpp"
#include "selftest/golden_values.hpp"
#include "selftest/op_cases.hpp"
#include "selftest/op_runner.hpp"
#include "support/test_devices.hpp"

namespace lockstep::test {
namespace {

// The inputs of an op that are half with mixed precision: see ops/attributes.hpp.
std::vector<size_t> half_inputs(const Node& node) {
  const std::string& op = node.op;
  const auto residual = [&]() -> std::vector<size_t> {  // after the others
    return node.attributes.as<BatchNormAttributes>().residual
               ? std::vector<size_t>{0, node.inputs.size() - 1}
               : std::vector<size_t>{0};
  };
  if (op == "conv2d_inference") {
    return node.attributes.as<Conv2dAttributes>().residual ? std::vector<size_t>{0, 2}
                                                           : std::vector<size_t>{0};
  }
  if (op == "linear_inference" || op == "batch_moments" || op == "batch_norm_apply" ||
      op == "dropout" || op == "max_pool2d_grad") {
    return {0};
  }
  if (op.starts_with("conv2d") || op.starts_with("linear")) return {0, 1};
  if (op == "batch_norm" || op == "batch_norm_inference") return residual();
  if (op == "batch_norm_grad") {
    const auto& a = node.attributes.as<BatchNormAttributes>();
    return a.relu && !a.mask ? std::vector<size_t>{0, 1, 5} : std::vector<size_t>{0, 1};
  }
  if (op == "batch_norm_grad_sums" || op == "batch_norm_grad_apply") return {0, 1};
  if (op.starts_with("softmax") || op == "classification_metrics" || op == "batch_statistics" ||
      op == "normalize") {
    return {};
  }
  std::vector<size_t> all;
  for (size_t i = 0; i < node.inputs.size(); ++i) all.push_back(i);
  return all;
}

Tensor to_type(const Tensor& tensor, DType type) {
  const auto count = static_cast<int64_t>(tensor.count());
  std::vector<float> values(tensor.count());
  convert_to_float(tensor.type().dtype, tensor.data(), values.data(), count);
  Tensor result(type, tensor.type().shape);
  convert_from_float(values.data(), type, result.data(), count);
  return result;
}

// One node of a case, with inputs that are numbers of the half type: once in float32 and once in
// it.
struct HalfCase {
  Graph floats{Mode::training, test_ops()};
  Graph halves{Mode::training, test_ops()};
  std::vector<Tensor> float_inputs, half_inputs;

  HalfCase(const Node& source, const std::vector<const Tensor*>& inputs, DType half) {
    const std::vector<size_t> chosen = test::half_inputs(source);
    std::vector<Value> float_values, half_values;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool is_chosen = std::find(chosen.begin(), chosen.end(), i) != chosen.end();
      half_inputs.push_back(is_chosen ? to_type(*inputs[i], half) : *inputs[i]);
      float_inputs.push_back(is_chosen ? to_type(half_inputs[i], DType::f32) : *inputs[i]);
      const std::string name = concat("input", i);
      float_values.push_back(floats.input(name, float_inputs[i].type()));
      half_values.push_back(halves.input(name, half_inputs[i].type()));
    }
    Attributes attributes = source.attributes;
    if (source.op == "normalize") {
      auto in_half = attributes.as<NormalizeAttributes>();
      in_half.dtype = half;
      attributes = Attributes::of(in_half);
    }
    floats.apply(source.op, float_values, source.attributes, "node");
    halves.apply(source.op, half_values, attributes, "node");
  }

  NodeResult run_float(Device& device) const { return run(device, floats, float_inputs); }
  NodeResult run_half(Device& device, const RunOptions& options = {}) const {
    return run(device, halves, half_inputs, options);
  }
  const Node& node() const { return halves.nodes().back(); }

 private:
  static NodeResult run(Device& device, const Graph& graph, const std::vector<Tensor>& tensors,
                        const RunOptions& options = {}) {
    std::vector<const Tensor*> inputs;
    for (const Tensor& tensor : tensors) inputs.push_back(&tensor);
    return run_node(device, graph, graph.nodes().back(), inputs, options);
  }
};

// The multiply-adds of a case's forward pass.
int64_t multiply_adds(const OpCase& op_case, const CaseGraph& graph) {
  const OpDef& op = test_ops().at(op_case.op);
  if (op.multiply_adds == nullptr) return 0;
  std::vector<TensorType> types;
  for (const Value& input : graph.inputs) types.push_back(input.type());
  return op.multiply_adds(types, graph.output.type(), op_case.attributes);
}

// Calls body(half case) for every node that has something half about it, of every case of at most
// so many multiply-adds.
template <class Body>
void for_each_half_case(DType half, int64_t most_multiply_adds, Body&& body) {
  for (const OpCase& op_case : op_cases()) {
    const CaseGraph case_graph = make_graph(op_case, test_ops());
    if (multiply_adds(op_case, case_graph) > most_multiply_adds) continue;
    const Graph& graph = *case_graph.graph;
    const auto results = run_graph(test_device("reference"), graph, make_feeds(op_case, graph));
    for (const Node& node : graph.nodes()) {
      if (node.op == "input" || node.op == "all_reduce") continue;
      if (half_inputs(node).empty() && node.op != "normalize") continue;
      SCOPED_TRACE(concat(op_case.text, " | ", node.op, " in ", name(half)));
      body(HalfCase(node, inputs_of(node, results), half));
    }
  }
}

void expect_equal_in_place(const HalfCase& c, Device& device, Layout available,
                           const NodeResult& apart) {
  for (const InPlace& in_place : test_ops().at(c.node().op).in_place) {
    if (static_cast<size_t>(in_place.input) >= c.node().inputs.size()) continue;
    if (static_cast<size_t>(in_place.output) >= c.node().outputs.size()) continue;
    const NodeResult result = c.run_half(device, {.available = available, .in_place = &in_place});
    for (size_t i = 0; i < result.outputs.size(); ++i) {
      EXPECT_EQ(result.outputs[i].numbers(), apart.outputs[i].numbers())
          << "output " << in_place.output << " on input " << in_place.input;
    }
  }
}

class HalfConformanceTest : public ::testing::TestWithParam<DType> {};

// The reference computes in float32 and rounds once: no tolerance. That does not depend on the
// size, so large cases, which its loops take long for, are left to the cpu device.
TEST_P(HalfConformanceTest, TheReferenceGivesItsFloatResultsRounded) {
  int nodes = 0;
  for_each_half_case(GetParam(), 1'000'000, [&](const HalfCase& c) {
    const NodeResult expected = c.run_float(test_device("reference"));
    const NodeResult actual = c.run_half(test_device("reference"));
    ASSERT_EQ(actual.outputs.size(), expected.outputs.size());
    for (size_t i = 0; i < actual.outputs.size(); ++i) {
      const Tensor& output = actual.outputs[i];
      const Tensor wanted = is_half(output.type().dtype)
                                ? to_type(expected.outputs[i], output.type().dtype)
                                : expected.outputs[i];
      ASSERT_EQ(output.type(), wanted.type());
      EXPECT_EQ(output.numbers(), wanted.numbers()) << "output " << i;
    }
    EXPECT_TRUE(actual.repeats);
    expect_equal_in_place(c, test_device("reference"), Layout::plain, actual);
    ++nodes;
  });
  EXPECT_GT(nodes, 150);
}

INSTANTIATE_TEST_SUITE_P(Types, HalfConformanceTest, ::testing::Values(DType::bf16, DType::f16),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST(CastConformanceTest, RoundsAndWidensExactlyInEveryLayout) {
  Tensor x(DType::f32, {2, 5, 7, 33});
  for (size_t i = 0; i < x.count(); ++i) x.values()[i] = 100 * golden_value("cast", i);
  x.values()[0] = 65519.996f, x.values()[1] = -1e-7f, x.values()[2] = INFINITY;
  const DType types[] = {DType::f32, DType::bf16, DType::f16};
  for (const char* device_name : {"reference", "cpu"}) {
    Device& device = test_device(device_name);
    for (DType from : types) {
      for (DType to : types) {
        const Attributes attributes = Attributes::of(CastAttributes{to});
        if (!device.supports("cast", attributes, from) ||
            !device.supports("cast", attributes, to)) {
          continue;
        }
        SCOPED_TRACE(concat(device_name, ": ", name(from), " to ", name(to)));
        const Tensor input = to_type(x, from);
        Graph graph(Mode::training, test_ops());
        graph.apply("cast", {graph.input("x", input.type())}, attributes, "cast");
        for (Layout available : {Layout::plain, Layout::nchw16c}) {
          const NodeResult result =
              run_node(device, graph, graph.nodes().back(), {&input}, {.available = available});
          EXPECT_EQ(result.outputs[0].numbers(), to_type(input, to).numbers());
          EXPECT_TRUE(result.padding_is_zero);
        }
      }
    }
  }
}

double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / std::max(norm, 1e-20));
}

// Numbers of bf16 lie up to 2^-7 of themselves apart. Both devices sum in float32 and round once,
// so a result differs by one such step at most, and seldom. A kernel for evaluation rounds the
// folded weights too, by up to 2^-9 each. Float results (moments, gradients of biases) are sums of
// the same products in another order.
TEST(CpuHalfConformanceTest, IsWithinAStepOfTheReferenceInEveryLayout) {
  Device& cpu = test_device("cpu");
  if (!cpu.supports("conv2d", Attributes::of(Conv2dAttributes{}), DType::bf16)) {
    GTEST_SKIP() << "needs a processor with AVX512_BF16 or AMX; this is " << cpu.description();
  }
  for_each_half_case(DType::bf16, INT64_MAX, [&](const HalfCase& c) {
    const Node& node = c.halves.nodes().back();
    const bool batch_norm = node.op == "batch_norm" || node.op == "batch_norm_grad";
    if (batch_norm && node.attributes.as<BatchNormAttributes>().mask) return;  // not of the cpu
    const NodeResult expected = c.run_half(test_device("reference"));
    for (Layout available : {Layout::plain, Layout::nhwc, Layout::nchw16c}) {
      SCOPED_TRACE(concat("inputs in ", name(available)));
      const NodeResult actual = c.run_half(cpu, {.available = available});
      SCOPED_TRACE("implementation " + actual.implementation);
      for (size_t i = 0; i < expected.outputs.size(); ++i) {
        const DType type = expected.outputs[i].type().dtype;
        const double tolerance = is_half(type) ? 0x1p-8 : type == DType::u8 ? 0 : 1e-4;
        EXPECT_LE(relative_distance(actual.outputs[i].numbers(), expected.outputs[i].numbers()),
                  tolerance)
            << "output " << i;
      }
      EXPECT_TRUE(actual.padding_is_zero);
      EXPECT_TRUE(actual.repeats);
      expect_equal_in_place(c, cpu, available, actual);
    }
  });
}

}  // namespace
}  // namespace lockstep::test
