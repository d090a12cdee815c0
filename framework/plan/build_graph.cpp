// From a model to the graph of a step: input, model, loss and metrics, then the passes that know no
// device.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "plan/plan.hpp"

namespace lockstep {
namespace {

// image: u8(N, C, H, W) -> f32, scaled to [0, 1] and standardised per channel
Value normalized(Value image, const PlanRequest& request) {
  const auto channels = static_cast<size_t>(request.image[0]);
  NormalizeAttributes attributes{request.mean, request.std};
  if (attributes.mean.empty()) attributes.mean.assign(channels, 0.0);
  if (attributes.std.empty()) attributes.std.assign(channels, 1.0);
  return image.graph().apply("normalize", {image}, Attributes::of(std::move(attributes)),
                             "normalize");
}

struct Loss {
  Value sum;         // ()
  Value per_sample;  // (N)
};

Loss cross_entropy(Value logits, Value labels, Value weights, double smoothing, std::string label) {
  Graph& graph = logits.graph();
  const Value sum =
      graph.apply("softmax_cross_entropy", {logits, labels, weights},
                  Attributes::of(SoftmaxCrossEntropyAttributes{.label_smoothing = smoothing}),
                  std::move(label));
  return {sum, Value(&graph, {sum.id().node, 1})};
}

Loss weighted_sum(Loss a, Loss b, double weight, const std::string& label) {
  const auto factor = Attributes::of(ScaleAttributes{weight});
  Graph& graph = a.sum.graph();
  const auto add_scaled = [&](Value x, Value y) {
    return graph.apply("add", {x, graph.apply("scale", {y}, factor, label + "/weight")}, {}, label);
  };
  return {add_scaled(a.sum, b.sum), add_scaled(a.per_sample, b.per_sample)};
}

}  // namespace

Graph build_graph(const PlanRequest& request, const OpRegistry& ops) {
  Graph graph(request.mode, ops);
  const int64_t n = request.batch_size;
  const Shape& chw = request.image;
  const Value image = graph.input("image", {DType::u8, {n, chw[0], chw[1], chw[2]}});
  const ModelOutput out = request.model(Scope(graph), normalized(image, request));

  const Value labels = graph.input("labels", {DType::i32, {n}});
  const Value weights = graph.input("weights", {DType::f32, {n}});
  Loss loss = cross_entropy(out.logits, labels, weights, request.label_smoothing, "loss");
  for (size_t i = 0; i < out.auxiliary.size(); ++i) {
    const std::string label = concat("auxiliary_loss.", i);
    const auto& [logits, weight] = out.auxiliary[i];
    loss =
        weighted_sum(loss, cross_entropy(logits, labels, weights, request.label_smoothing, label),
                     weight, label);
  }
  const Value metrics = graph.apply("classification_metrics",
                                    {out.logits, labels, weights, loss.per_sample}, {}, "metrics");
  graph.output(Role::loss, "", loss.sum);
  graph.output(Role::metrics, "", metrics);
  graph.output(Role::logits, "", out.logits);
  if (out.features) graph.output(Role::features, "", out.features);
  return graph;
}

int64_t count_features(const PlanRequest& request, const OpRegistry& ops) {
  const Graph graph = build_graph(request, ops);
  const Output* features = graph.find_output(Role::features);
  if (features == nullptr) {
    fail(Failure::usage, "features: this model does not say which value they are");
  }
  return graph.type(features->value).shape[1];
}

Graph transform_graph(const PlanRequest& request, const OpRegistry& ops, const Supports& supports) {
  Graph graph = build_graph(request, ops);
  const bool training = request.mode == Mode::training;
  if (training) graph = freeze_batch_norm(graph, request.trainable);
  if (request.features > 0) graph = cut_at_features(graph, request.trainable);
  if (training && request.sync_batch_norm) graph = synchronize_batch_norm(graph);
  if (!training) graph = fold_batch_norm(graph, supports);
  graph = fuse(graph, supports);
  return training ? differentiate(graph, request.trainable) : std::move(graph);
}

}  // namespace lockstep
