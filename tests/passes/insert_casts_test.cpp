#include <gtest/gtest.h>

#include "base/patterns.hpp"
#include "ops/attributes.hpp"
#include "plan/parameters.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

constexpr DType kHalf = DType::bf16;

Graph transform(PlanRequest request, const Supports& supports = supports_everything) {
  request.precision = kHalf;
  return order_launches(transform_graph(request, framework_ops(), supports));
}

Graph casts_of(const Graph& graph, const Supports& supports = supports_everything) {
  return insert_casts(graph, kHalf, supports);
}

DType result_of(const Graph& graph, std::string_view op, std::string_view label) {
  const Node* node = graph.find(op, label);
  if (node == nullptr) throw std::runtime_error(concat("no ", op, " ", label));
  return node->outputs[0].dtype;
}

TEST(InsertCastsTest, ComputesInHalfAndKeepsParametersMomentsAndLossInFloat) {
  const Graph graph = transform(residual_request());
  for (const Node& node : graph.nodes()) {
    SCOPED_TRACE(concat(node.op, ' ', node.label));
    if (node.op.starts_with("conv2d") || node.op.starts_with("linear")) {
      EXPECT_EQ(node.outputs[0].dtype, kHalf);
    }
    if (node.op == "parameter" || node.op == "buffer" || node.op.starts_with("softmax")) {
      EXPECT_EQ(node.outputs[0].dtype, DType::f32);
    }
    if (node.op == "batch_norm" || node.op == "batch_norm_grad") {
      EXPECT_EQ(node.outputs[0].dtype, kHalf);
      EXPECT_EQ(node.outputs[1].dtype, DType::f32);
      EXPECT_EQ(node.outputs[2].dtype, DType::f32);
    }
  }
  for (const Output& output : graph.outputs()) {
    if (output.role == Role::metrics) continue;
    EXPECT_EQ(graph.type(output.value).dtype, DType::f32) << name(output.role) << output.name;
  }
}

TEST(InsertCastsTest, CastsEachWeightOnceAndNothingTwice) {
  const Graph graph = transform(residual_request());
  std::map<std::pair<ValueId, DType>, int> casts;
  for (const Node& node : graph.nodes()) {
    if (node.op != "cast") continue;
    EXPECT_EQ(++casts[std::pair(node.inputs[0], node.outputs[0].dtype)], 1) << node.label;
    EXPECT_NE(graph.node(node.inputs[0]).op, "cast") << node.label;
  }
  // Three weights there and their gradients back, the logits there and their gradient back.
  EXPECT_EQ(count_ops(graph, "cast"), 3 + 3 + 2);
}

TEST(InsertCastsTest, GivesGradientsTheTypeOfTheirValuesAndAddsThemInIt) {
  const Graph graph = transform(residual_request());
  const Node* sum = nullptr;  // the block's input is read by its convolution and its shortcut
  for (const Node& node : graph.nodes()) {
    if (node.op == "add" && node.label.ends_with("/sum_gradients")) sum = &node;
  }
  ASSERT_NE(sum, nullptr);
  EXPECT_EQ(sum->outputs[0].dtype, kHalf);
  const Node& dw = graph.node(graph.find_output(Role::gradient, "conv2.weight")->value);
  EXPECT_EQ(dw.op, "cast");
  EXPECT_EQ(graph.node(dw.inputs[0]).op, "conv2d_grad_weight");
  const ValueId db = graph.find_output(Role::gradient, "fc.bias")->value;
  EXPECT_EQ(graph.node(db).op, "linear_grad_weight") << "gradients of biases are float at once";
}

TEST(InsertCastsTest, NormalizeWritesHalfWhereConvolutionsAloneReadIt) {
  EXPECT_EQ(result_of(transform(residual_request()), "normalize", "normalize"), kHalf);
  PlanRequest request = residual_request();
  request.model = [](Scope s, Value x) {
    x = nn::concat({x, x});
    return residual_model(s, x);
  };
  const Graph graph = transform(request);
  EXPECT_EQ(result_of(graph, "normalize", "normalize"), DType::f32);
  EXPECT_EQ(graph.node(graph.find("conv2d", "conv1")->inputs[0]).op, "cast");
}

TEST(InsertCastsTest, LeavesInFloatWhatTheDeviceDoesNotSupport) {
  const Supports no_pool = [](std::string_view op, const Attributes&) {
    return op != "adaptive_avg_pool2d";
  };
  const Graph graph = transform(residual_request(), no_pool);
  for (const Node& node : graph.nodes()) {
    if (node.op.starts_with("adaptive_avg_pool2d")) {
      EXPECT_EQ(node.outputs[0].dtype, DType::f32);
    }
  }
  EXPECT_EQ(result_of(graph, "linear", "fc"), kHalf);
  const Supports nothing = [](std::string_view, const Attributes&) { return false; };
  EXPECT_EQ(count_ops(transform(residual_request(), nothing), "cast"), 0);
}

TEST(InsertCastsTest, InEvaluationWeightsStayParametersForKernelsToPack) {
  const Graph graph = transform(residual_request(Mode::evaluation));
  const Node* conv = graph.find("conv2d_inference", "conv2");
  ASSERT_NE(conv, nullptr);
  EXPECT_EQ(graph.type(conv->inputs[0]).dtype, kHalf);
  EXPECT_EQ(graph.node(conv->inputs[1]).op, "parameter");
  EXPECT_EQ(graph.type(conv->inputs[2]).dtype, kHalf) << "the residual";
  EXPECT_EQ(conv->outputs[0].dtype, kHalf);
  EXPECT_EQ(count_ops(graph, "cast"), 1) << "of the logits";
  EXPECT_EQ(graph.type(graph.find_output(Role::logits)->value).dtype, DType::f32);
}

TEST(InsertCastsTest, AFrozenNetworkCostsNoBackwardOfCasts) {
  PlanRequest request = residual_request();
  request.trainable = [frozen = NamePatterns({"*", "!fc"})](std::string_view name) {
    return !frozen.covers(name);
  };
  const Graph graph = transform(request);
  EXPECT_EQ(result_of(graph, "batch_norm_inference", "bn1"), kHalf);
  // Three weights and the logits there; the gradients of the logits and of fc.weight back.
  EXPECT_EQ(count_ops(graph, "cast"), 4 + 2);
  EXPECT_EQ(count_ops(graph, "conv2d_grad_weight"), 0);
}

TEST(InsertCastsTest, SynchronizedMomentsAreTakenOfHalfAndTravelAsTheyDid) {
  PlanRequest request = residual_request();
  request.sync_batch_norm = true;
  const Graph graph = transform(request);
  EXPECT_EQ(count_ops(graph, "all_reduce"), 4);
  for (const Node& node : graph.nodes()) {
    if (node.op == "all_reduce") {
      EXPECT_EQ(node.outputs[0].dtype, DType::f64);
    }
    if (node.op == "batch_moments") {
      EXPECT_EQ(graph.type(node.inputs[0]).dtype, kHalf);
    }
  }
  EXPECT_EQ(result_of(graph, "batch_norm_apply", "bn1"), kHalf);
}

TEST(InsertCastsTest, AuxiliaryHeadsHaveLossesInFloat) {
  PlanRequest request = residual_request();
  request.model = [](Scope s, Value x) -> ModelOutput {
    x = nn::relu(nn::conv2d(s / "conv", x, {.out = 8, .kernel = 3}));
    const Value features = nn::global_avg_pool(x);
    return {nn::linear(s / "fc", features, {.out = 4}),
            {{nn::linear(s / "aux", features, {.out = 4}), 0.3}},
            features};
  };
  const Graph graph = transform(request);
  EXPECT_EQ(result_of(graph, "softmax_cross_entropy", "auxiliary_loss.0"), DType::f32);
  EXPECT_EQ(result_of(graph, "linear", "aux"), kHalf);
  EXPECT_EQ(result_of(graph, "relu_grad", "conv/relu/grad"), kHalf);
  const Output* features = graph.find_output(Role::features);
  EXPECT_EQ(graph.type(features->value).dtype, DType::f32);
}

TEST(InsertCastsTest, CachedFeaturesStayFloatAsTheyAreKept) {
  PlanRequest request = residual_request();
  request.model = [](Scope s, Value x) -> ModelOutput {
    x = nn::relu(nn::conv2d(s / "conv", x, {.out = 8, .kernel = 3}));
    const Value features = nn::global_avg_pool(x);
    return {nn::linear(s / "fc", features, {.out = 4}), {}, features};
  };
  request.trainable = [](std::string_view name) { return name.starts_with("fc"); };
  request.features = 8;
  const Graph graph = transform(request);
  EXPECT_EQ(graph.find("input", "features")->outputs[0].dtype, DType::f32);
  EXPECT_EQ(result_of(graph, "linear", "fc"), kHalf);
  EXPECT_EQ(graph.node(graph.find("linear", "fc")->inputs[0]).op, "cast");
}

TEST(InsertCastsTest, WhatWasWidenedIsHadBackWithoutACast) {
  Graph graph(Mode::training, framework_ops());
  Scope s(graph);
  const Value image = graph.input("image", {DType::f32, {2, 4, 6, 6}});
  const Value x = nn::conv2d(s / "conv1", image, {.out = 4, .kernel = 3});
  const auto to = [&](Value v, DType type, const char* label) {
    return graph.apply("cast", {v}, Attributes::of(CastAttributes{type}), label);
  };
  // The model's own cast to float is read by a convolution, which wants the half value behind it.
  const Value y = nn::conv2d(s / "conv2", to(x, DType::f32, "own"), {.out = 4, .kernel = 3});
  // A narrowing cast is not undone: what it rounded off is gone.
  const Value z = to(to(image, DType::f16, "narrow"), DType::f32, "wide");
  graph.output(Role::features, "", nn::flatten(y));
  graph.output(Role::logits, "", nn::flatten(z));
  const Graph result = casts_of(graph);
  EXPECT_EQ(result.node(result.find("conv2d", "conv2")->inputs[0]).label, "conv1");
  const Node& logits = result.node(result.find_output(Role::logits)->value);
  const Node& wide = result.node(logits.inputs[0]);
  EXPECT_EQ(wide.op, "cast");
  EXPECT_EQ(result.type(wide.inputs[0]).dtype, DType::f16);
}

TEST(InsertCastsTest, ParametersLieAsTheyDoInFloat) {
  const auto names = [](DType precision) {
    PlanRequest request = residual_request();
    request.precision = precision;
    std::vector<std::string> names;
    const Graph graph = transform_graph(request, framework_ops(), supports_everything);
    for (const ParameterSlot& slot : layout_parameters(graph).parameters) {
      if (!slot.name.ends_with(".bias")) names.push_back(slot.name);
    }
    return names;
  };
  EXPECT_EQ(names(kHalf), names(DType::f32)) << "backward produces weights in the same order";
}

}  // namespace
}  // namespace lockstep::testing
