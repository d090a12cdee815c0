#include <gtest/gtest.h>

#include <algorithm>

#include "ops/attributes.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

Graph differentiated(const std::function<bool(std::string_view)>& trainable) {
  return differentiate(build_graph(residual_request(), framework_ops()), trainable);
}

std::vector<std::string> gradient_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Output& output : graph.outputs(Role::gradient)) names.push_back(output.name);
  return names;
}

TEST(DifferentiateTest, GivesEveryTrainableParameterAGradientInTheOrderOfBackward) {
  const Graph graph = differentiated([](std::string_view) { return true; });
  const auto names = gradient_names(graph);
  ASSERT_EQ(names.size(), 8u);
  EXPECT_EQ(names[0], "fc.weight");
  EXPECT_EQ(names.back(), "conv1.weight");
  for (const Output& output : graph.outputs(Role::gradient)) {
    EXPECT_EQ(graph.type(output.value).shape,
              graph.find("parameter", output.name)->outputs[0].shape);
  }
}

TEST(DifferentiateTest, MakesNoNodeBelowAFrozenPrefix) {
  const Graph graph = differentiated([](std::string_view name) { return name.starts_with("fc"); });
  EXPECT_EQ(gradient_names(graph).size(), 2u);
  EXPECT_EQ(count_ops(graph, "conv2d_grad_weight"), 0);
  EXPECT_EQ(count_ops(graph, "conv2d_grad_input"), 0);
  EXPECT_EQ(count_ops(graph, "batch_norm_grad"), 0);
  EXPECT_EQ(count_ops(graph, "linear_grad_input"), 0);
}

TEST(DifferentiateTest, MakesNoGradientOfTheImage) {
  const Graph graph = differentiated([](std::string_view) { return true; });
  EXPECT_EQ(count_ops(graph, "conv2d_grad_input"), 1);  // of conv2 alone
}

TEST(DifferentiateTest, SumsGradientsOfAValueUsedTwice) {
  const Graph forward = build_graph(residual_request(), framework_ops());
  const Graph graph = differentiate(forward, [](std::string_view) { return true; });
  // The block's input feeds conv2 and the shortcut.
  EXPECT_EQ(count_ops(graph, "add"), count_ops(forward, "add") + 1);
}

TEST(DifferentiateTest, CopiesAGradientThatTwoParametersShare) {
  PlanRequest request = residual_request();
  request.model = [](Scope s, Value x) -> ModelOutput {
    x = nn::linear(s / "fc", nn::flatten(x), {.out = 4, .bias = false});
    const Value a = s.parameter("a", {6, 4}, Init::zeros());
    const Value b = s.parameter("b", {6, 4}, Init::zeros());
    return x + (a + b);
  };
  const Graph graph =
      differentiate(build_graph(request, framework_ops()), [](std::string_view) { return true; });
  std::vector<ValueId> places;
  for (const Output& output : graph.outputs(Role::gradient)) places.push_back(output.value);
  ASSERT_EQ(places.size(), 3u);
  std::sort(places.begin(), places.end());
  EXPECT_EQ(std::unique(places.begin(), places.end()), places.end());
}

TEST(DifferentiateTest, NamesAnOpWithoutGradient) {
  PlanRequest request = residual_request();
  request.model = [](Scope s, Value x) -> ModelOutput {
    x = nn::conv2d(s / "conv", x, {.out = 4, .kernel = 8});
    return nn::flatten(x);
  };
  OpRegistry ops;
  add_framework_ops(ops);
  Graph graph = build_graph(request, ops);
  ops.add({.name = "no_gradient", .help = "", .infer = [](auto in, const Attributes&) {
             return std::vector<TensorType>{in[0]};
           }});
  const Value logits(&graph, graph.find_output(Role::logits)->value);
  const Value odd = graph.apply("no_gradient", {logits}, {}, "head/odd");
  const Value loss = graph.apply(
      "softmax_cross_entropy",
      {odd, graph.input("labels", {DType::i32, {6}}), graph.input("weights", {DType::f32, {6}})},
      Attributes::of(SoftmaxCrossEntropyAttributes{}), "loss2");
  graph.set_output(0, loss.id());
  try {
    differentiate(graph, [](std::string_view) { return true; });
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("head/odd: op 'no_gradient' has no gradient"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace lockstep::testing
