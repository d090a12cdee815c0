// From a model to the graph of a step: input, model, loss and metrics, then the passes that know no
// device.
#include <algorithm>

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

ModelOutput apply_model(Graph& graph, const PlanRequest& request, int64_t height, int64_t width) {
  const Value image =
      graph.input("image", {DType::u8, {request.batch_size, request.image[0], height, width}});
  return request.model(Scope(graph), normalized(image, request));
}

// The least side such that the model takes images enlarged to it; 0: no side helps.
int64_t least_side(const PlanRequest& request, const OpRegistry& ops) {
  const int64_t height = request.image[1], width = request.image[2];
  const auto fits = [&](int64_t side) {
    Graph graph(request.mode, ops);
    try {
      apply_model(graph, request, std::max(height, side), std::max(width, side));
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  constexpr int64_t kLargest = 1024;
  int64_t refused = std::min(height, width), taken = kLargest;
  if (refused >= taken || !fits(taken)) return 0;
  while (taken - refused > 1) {
    const int64_t middle = (refused + taken) / 2;
    (fits(middle) ? taken : refused) = middle;
  }
  return taken;
}

// Where the images are at fault, the error says how large they must be.
ModelOutput apply_model(Graph& graph, const PlanRequest& request, const OpRegistry& ops) {
  try {
    return apply_model(graph, request, request.image[1], request.image[2]);
  } catch (const Error& error) {
    const int64_t side = least_side(request, ops);
    if (side == 0) throw;
    fail(error.failure(), error.what(), " (this model takes images of at least ", side, " x ", side,
         ')');
  }
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
  const ModelOutput out = apply_model(graph, request, ops);

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
  if (is_half(request.precision)) graph = insert_casts(graph, request.precision, supports);
  return training ? differentiate(graph, request.trainable) : std::move(graph);
}

}  // namespace lockstep
