// The own kernels of the cuda device as host code, on every op case: equal to the reference in
// float, and in the half types equal to the reference on rounded inputs; whichever order the
// threads run in; in place; with channels past C kept at zero.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "base/half.hpp"
#include "device/simt.hpp"
#include "selftest/op_cases.hpp"
#include "selftest/op_runner.hpp"
#include "shim_device.hpp"
#include "support/test_devices.hpp"

namespace lockstep::test {
namespace {

cuda::ShimDevice& shim() {
  static cuda::ShimDevice device;
  return device;
}

bool is_own(const Node& node) { return shim().supports(node.op, node.attributes, DType::f32); }

// --- half types: activations are what has rows; moments, parameters and the loss stay f32

bool may_be_half(const Node& node, const TensorType& type) {
  if (node.op.starts_with("softmax") || node.op == "classification_metrics") return false;
  return type.dtype == DType::f32 && type.shape.rank() >= 2;
}

template <class T>
Tensor converted(const Tensor& from, DType dtype) {
  Tensor to(dtype, from.type().shape);
  T* const values = static_cast<T*>(to.data());
  for (size_t i = 0; i < from.count(); ++i) values[i] = from_float<T>(from.values()[i]);
  return to;
}
template <class T>
Tensor widened(const Tensor& from) {
  Tensor to(DType::f32, from.type().shape);
  const T* const values = static_cast<const T*>(from.data());
  for (size_t i = 0; i < from.count(); ++i) to.values()[i] = to_float(values[i]);
  return to;
}
Tensor in_type(const Tensor& from, DType dtype) {
  return dtype == DType::f16 ? converted<F16>(from, dtype) : converted<Bf16>(from, dtype);
}
Tensor in_f32(const Tensor& from) {
  if (from.type().dtype == DType::f16) return widened<F16>(from);
  return from.type().dtype == DType::bf16 ? widened<Bf16>(from) : from;
}

// A node with its inputs, as it is run in `dtype`; and what the reference makes of the same
// numbers.
struct TypedNode {
  Node node;
  std::vector<Tensor> inputs;
  std::vector<Tensor> expected;
};

TypedNode in_dtype(const Graph& graph, const Node& node, const std::vector<const Tensor*>& inputs,
                   const std::vector<Tensor>& expected, DType dtype) {
  TypedNode typed{node, {}, expected};
  for (const Tensor* input : inputs) typed.inputs.push_back(*input);
  if (dtype == DType::f32) return typed;
  std::vector<Tensor> rounded;
  for (Tensor& input : typed.inputs) {
    if (may_be_half(node, input.type())) input = in_type(input, dtype);
    rounded.push_back(in_f32(input));
  }
  std::vector<const Tensor*> pointers;
  for (const Tensor& input : rounded) pointers.push_back(&input);
  typed.expected = run_node(test_device("reference"), graph, node, pointers).outputs;
  for (TensorType& type : typed.node.outputs) {
    if (may_be_half(node, type)) type.dtype = dtype;
  }
  return typed;
}

// --- what is compared

// Of the norm: own kernels compute in float, and round once to the type of the result.
double tolerance(DType dtype) {
  if (dtype == DType::f16) return 5e-4;
  return dtype == DType::bf16 ? 4e-3 : 2e-6;
}

void expect_near(const Tensor& actual, const Tensor& expected) {
  ASSERT_EQ(actual.type().shape, expected.type().shape);
  const bool real = expected.type().dtype == DType::f32 || expected.type().dtype == DType::f64;
  const std::vector<double> a = in_f32(actual).numbers(), b = expected.numbers();
  if (!real) {
    EXPECT_EQ(a, b);
    return;
  }
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  EXPECT_LE(std::sqrt(difference), tolerance(actual.type().dtype) * std::sqrt(norm) + 1e-7);
}

std::vector<std::vector<char>> bytes_of(const std::vector<Tensor>& tensors) {
  std::vector<std::vector<char>> bytes;
  for (const Tensor& tensor : tensors) {
    const char* const data = static_cast<const char*>(tensor.data());
    bytes.emplace_back(data, data + tensor.type().bytes());
  }
  return bytes;
}

class KernelsTest : public ::testing::TestWithParam<size_t> {
 protected:
  void TearDown() override { simt::set_schedule(simt::Schedule::round_robin); }

  // Calls body(graph, typed node) for all nodes of the case that own kernels run, in all types.
  template <class Body>
  void for_each_node(Body body) {
    const OpCase& op_case = op_cases()[GetParam()];
    const CaseGraph graph = make_graph(op_case, test_ops());
    const auto results =
        run_graph(test_device("reference"), *graph.graph, make_feeds(op_case, *graph.graph));
    for (size_t i = 0; i < results.size(); ++i) {
      const Node& node = graph.graph->nodes()[i];
      if (node.op == "input" || !is_own(node)) continue;
      for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
        SCOPED_TRACE(concat(op_case.text, " | ", node.op, " in ", name(dtype)));
        body(*graph.graph,
             in_dtype(*graph.graph, node, inputs_of(node, results), results[i].outputs, dtype));
      }
    }
  }
};

NodeResult run(const Graph& graph, const TypedNode& typed, RunOptions options = {}) {
  std::vector<const Tensor*> inputs;
  for (const Tensor& input : typed.inputs) inputs.push_back(&input);
  return run_node(shim(), graph, typed.node, inputs, options);
}

TEST_P(KernelsTest, EqualsTheReferenceInEveryOrderOfThreadsAndType) {
  for_each_node([&](const Graph& graph, const TypedNode& typed) {
    std::optional<std::vector<std::vector<char>>> first;
    // Where layouts follow the inputs', the second run is in nhwc8c.
    const std::pair<simt::Schedule, Layout> runs[] = {{simt::Schedule::round_robin, Layout::plain},
                                                      {simt::Schedule::greedy, Layout::nhwc8c}};
    for (const auto& [schedule, available] : runs) {
      simt::set_schedule(schedule);
      const NodeResult result = run(graph, typed, {.available = available});
      ASSERT_EQ(result.outputs.size(), typed.expected.size());
      for (size_t i = 0; i < result.outputs.size(); ++i) {
        SCOPED_TRACE("output " + std::to_string(i));
        expect_near(result.outputs[i], typed.expected[i]);
      }
      EXPECT_TRUE(result.padding_is_zero);
      EXPECT_TRUE(result.repeats) << "a second launch gave other bits";
      const auto bytes = bytes_of(result.outputs);
      if (!first) first = bytes;
      EXPECT_EQ(bytes, *first) << "another order of threads or layout gave other bits";
    }
  });
}

TEST_P(KernelsTest, GivesTheSameBitsInPlace) {
  for_each_node([&](const Graph& graph, const TypedNode& typed) {
    for (const InPlace& in_place : graph.ops().at(typed.node.op).in_place) {
      if (static_cast<size_t>(in_place.input) >= typed.inputs.size()) continue;
      for (Layout available : {Layout::plain, Layout::nhwc8c}) {
        const NodeResult apart = run(graph, typed, {.available = available});
        const NodeResult result =
            run(graph, typed, {.available = available, .in_place = &in_place});
        if (result.outputs.empty()) continue;
        EXPECT_EQ(bytes_of(result.outputs), bytes_of(apart.outputs));
        EXPECT_TRUE(result.padding_is_zero);
      }
    }
  });
}

std::vector<size_t> own_cases() {
  std::vector<size_t> cases;
  for (size_t i = 0; i < op_cases().size(); ++i) {
    const CaseGraph graph = make_graph(op_cases()[i], test_ops());
    for (const Node& node : graph.graph->nodes()) {
      if (!is_own(node)) continue;
      cases.push_back(i);
      break;
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, KernelsTest, ::testing::ValuesIn(own_cases()),
                         [](const auto& info) { return op_cases()[info.param].name; });

TEST(OwnKernelsTest, HaveCasesForAllOfThem) {
  const std::vector<size_t> cases = own_cases();
  EXPECT_GE(cases.size(), 80u);
}

}  // namespace
}  // namespace lockstep::test
