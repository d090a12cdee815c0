#include <gtest/gtest.h>

#include "ops/attributes.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {
namespace {

TEST(FuseTest, TakesReluAndShortcutIntoBatchNorm) {
  const Graph graph = fuse(build_graph(residual_request(), framework_ops()), supports_everything);
  EXPECT_EQ(count_ops(graph, "relu"), 0);
  EXPECT_EQ(count_ops(graph, "add"), 0);
  const auto& first = graph.find("batch_norm", "bn1")->attributes.as<BatchNormAttributes>();
  EXPECT_TRUE(first.relu);
  EXPECT_FALSE(first.residual);
  const Node* second = graph.find("batch_norm", "bn2");
  EXPECT_TRUE(second->attributes.as<BatchNormAttributes>().residual);
  EXPECT_EQ(second->inputs.size(), 4u);
}

TEST(FuseTest, GivesTheMaskToTheGradientWhereTheDeviceHasThatKernel) {
  const auto everything = [](std::string_view) { return true; };
  const Graph fused = fuse(build_graph(residual_request(), framework_ops()), supports_everything);
  const Graph graph = differentiate(fused, everything);
  const Node* forward = graph.find("batch_norm", "bn2");
  EXPECT_EQ(forward->outputs.at(3), (TensorType{DType::u8, {6 * 8 * 8}}));
  const Node* gradient = graph.find("batch_norm_grad", "bn2/grad");
  EXPECT_EQ(graph.type(gradient->inputs.at(5)), forward->outputs[3]);

  const auto no_masks = [](std::string_view op, const Attributes& attributes) {
    return op != "batch_norm" || !attributes.as<BatchNormAttributes>().mask;
  };
  const Graph plain = fuse(build_graph(residual_request(), framework_ops()), no_masks);
  EXPECT_EQ(plain.find("batch_norm", "bn2")->outputs.size(), 3u);
}

TEST(FuseTest, KeepsThePartsOfADeviceWithoutTheFusedKernel) {
  const Graph built = build_graph(residual_request(), framework_ops());
  EXPECT_EQ(print(fuse(built, supports_nothing_fused)), print(built));
}

TEST(FuseTest, LeavesAValueAloneThatSomebodyElseReads) {
  Graph graph(Mode::training, framework_ops());
  const Scope s(graph);
  const Value x = graph.input("image", {DType::f32, {2, 4, 3, 3}});
  const Value y = nn::batch_norm(s / "bn", x);
  graph.output(Role::features, "", nn::relu(y));
  graph.output(Role::logits, "", nn::flatten(y));
  const Graph fused = fuse(graph, supports_everything);
  EXPECT_EQ(count_ops(fused, "relu"), 1);
}

TEST(FuseTest, ShortcutWithBatchNormFusesTheLaterOne) {
  Graph graph(Mode::training, framework_ops());
  const Scope s(graph);
  const Value x = graph.input("image", {DType::f32, {2, 4, 3, 3}});
  const Value a = nn::batch_norm(s / "early", x);
  const Value b = nn::batch_norm(s / "late", x);
  graph.output(Role::features, "", nn::relu(a + b));
  const Graph fused = fuse(graph, supports_everything);
  EXPECT_TRUE(fused.find("batch_norm", "late")->attributes.as<BatchNormAttributes>().residual);
  EXPECT_FALSE(fused.find("batch_norm", "early")->attributes.as<BatchNormAttributes>().relu);
  EXPECT_EQ(fused.outputs(Role::statistic).size(), 4u);
}

TEST(FuseTest, WorksInEvaluationOnWhatIsNotFolded) {
  const Graph graph =
      fuse(build_graph(residual_request(Mode::evaluation), framework_ops()), supports_everything);
  EXPECT_EQ(count_ops(graph, "batch_norm_inference"), 2);
  EXPECT_EQ(count_ops(graph, "relu"), 0);
}

}  // namespace
}  // namespace lockstep::testing
