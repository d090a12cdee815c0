// Every op and gradient on every device: equal to the reference, in any layout, and in place.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <set>

#include "ops/attributes.hpp"
#include "selftest/op_cases.hpp"
#include "selftest/op_runner.hpp"
#include "support/test_devices.hpp"

namespace lockstep::test {
namespace {

struct ReferenceRun {
  CaseGraph graph;
  std::vector<NodeResult> results;
};

// The case on the reference device, computed once.
const ReferenceRun& reference_run(size_t number) {
  static std::vector<std::optional<ReferenceRun>> runs(op_cases().size());
  std::optional<ReferenceRun>& run = runs[number];
  if (!run) {
    const OpCase& op_case = op_cases()[number];
    CaseGraph graph = make_graph(op_case, test_ops());
    auto results =
        run_graph(test_device("reference"), *graph.graph, make_feeds(op_case, *graph.graph));
    run = ReferenceRun{std::move(graph), std::move(results)};
  }
  return *run;
}

bool is_masked(const Node& node) {
  return (node.op == "batch_norm" || node.op == "batch_norm_grad") &&
         node.attributes.as<BatchNormAttributes>().mask;
}

// The devices under test; CMake builds this file once more for those that need a GPU.
#ifndef LOCKSTEP_TEST_DEVICES
#define LOCKSTEP_TEST_DEVICES "reference", "cpu"
#endif

class DeviceTest : public ::testing::TestWithParam<std::tuple<std::string, size_t>> {
 protected:
  void SetUp() override {
    if (const std::string reason = missing_device(std::get<0>(GetParam())); !reason.empty())
      GTEST_SKIP() << reason;
  }

  // What images may come in: the layouts that the device gives them; host devices take others too.
  std::set<Layout> layouts() {
    static std::map<std::string, std::vector<Layout>> used;
    std::vector<Layout>& own = used[std::get<0>(GetParam())];
    if (own.empty()) own = used_layouts(device(), test_ops());
    std::set<Layout> all(own.begin(), own.end());
    if (device().host_accessible()) all.insert({Layout::nhwc, Layout::nchw8c, Layout::nchw16c});
    return all;
  }

  Device& device() { return test_device(std::get<0>(GetParam())); }

  // Calls body(graph, node, inputs, expected, available) for every node that has a kernel, with the
  // reference's values, for every choice of layouts that the device makes.
  template <class Body>
  void for_each_choice(Body body) {
    const OpCase& op_case = op_cases()[std::get<1>(GetParam())];
    const ReferenceRun& run = reference_run(std::get<1>(GetParam()));
    const Graph& graph = *run.graph.graph;
    for (size_t i = 0; i < run.results.size(); ++i) {
      const Node& node = graph.nodes()[i];
      if (node.op == "input" || node.op == "all_reduce") continue;
      if (is_masked(node) && device().name() != "reference") {
        GTEST_SKIP()
            << "the order of a mask's bits is the device's own; lockstep selftest compares "
               "what comes of them";
      }
      // Forms that no pass makes for a GPU; devices on host memory have all.
      const bool has_kernel = device().supports(node.op, node.attributes, DType::f32);
      if (!device().host_accessible() && !has_kernel) continue;
      std::set<std::pair<std::vector<Layout>, std::vector<Layout>>> seen;
      for (Layout available : layouts()) {
        const LayoutChoice choice = choose_layouts(device(), graph, node, available);
        if (!seen.emplace(choice.inputs, choice.outputs).second) continue;
        SCOPED_TRACE(concat(op_case.text, " | ", node.op, ", inputs in ", name(available)));
        body(graph, node, inputs_of(node, run.results), run.results[i].outputs, available);
      }
    }
  }
};

// Integers are equal; numbers differ by at most `tolerance` of the norm.
void expect_near(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.type(), expected.type());
  const std::vector<double> a = actual.numbers(), b = expected.numbers();
  if (expected.type().dtype != DType::f32 && expected.type().dtype != DType::f64) {
    EXPECT_EQ(a, b);
    return;
  }
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  EXPECT_LE(std::sqrt(difference), tolerance * std::sqrt(norm) + 1e-12);
}

void expect_near(const NodeResult& actual, const std::vector<Tensor>& expected) {
  SCOPED_TRACE("implementation " + actual.implementation);
  ASSERT_EQ(actual.outputs.size(), expected.size());
  const bool winograd = actual.implementation.find("wino") != std::string::npos;
  for (size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE("output " + std::to_string(i));
    expect_near(actual.outputs[i], expected[i], winograd ? 1e-4 : 1e-5);
  }
}

TEST_P(DeviceTest, EqualsTheReferenceInEveryLayoutAndKeepsPaddedChannelsZero) {
  for_each_choice([&](const Graph& graph, const Node& node, const auto& inputs,
                      const auto& expected, Layout available) {
    const NodeResult result = run_node(device(), graph, node, inputs, {.available = available});
    expect_near(result, expected);
    EXPECT_TRUE(result.padding_is_zero);
    EXPECT_TRUE(result.repeats) << "a second launch gave other bits";
  });
}

TEST_P(DeviceTest, GivesTheSameBitsInPlace) {
  for_each_choice([&](const Graph& graph, const Node& node, const auto& inputs, const auto&,
                      Layout available) {
    for (const InPlace& in_place : graph.ops().at(node.op).in_place) {
      if (static_cast<size_t>(in_place.input) >= inputs.size()) continue;
      if (static_cast<size_t>(in_place.output) >= node.outputs.size()) continue;
      SCOPED_TRACE(concat("output ", in_place.output, " on input ", in_place.input));
      const NodeResult apart = run_node(device(), graph, node, inputs, {.available = available});
      const NodeResult result =
          run_node(device(), graph, node, inputs, {.available = available, .in_place = &in_place});
      for (size_t i = 0; i < result.outputs.size(); ++i) {
        EXPECT_EQ(result.outputs[i].numbers(), apart.outputs[i].numbers());
      }
      EXPECT_TRUE(result.padding_is_zero);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Cases, DeviceTest,
                         ::testing::Combine(::testing::Values(LOCKSTEP_TEST_DEVICES),
                                            ::testing::Range<size_t>(0, op_cases().size())),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" +
                                  op_cases()[std::get<1>(info.param)].name;
                         });

}  // namespace
}  // namespace lockstep::test
