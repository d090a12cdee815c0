// The loss of classification: softmax and cross-entropy with label smoothing and a weight per
// sample, as torch.nn.CrossEntropyLoss(label_smoothing, reduction="sum").
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

void check_samples(std::span<const TensorType> inputs, std::string_view what) {
  check_dtype(inputs[0], what, DType::f32);
  check_rank(inputs[0], what, 2);
  const int64_t samples = inputs[0].shape[0];
  if (inputs[0].shape[1] < 1) {
    fail(Failure::usage, what, " is ", inputs[0], "; expected at least one class");
  }
  check_type(inputs[1], "labels", {DType::i32, {samples}});
  check_type(inputs[2], "weights", f32({samples}));
}

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 3);
  check_samples(inputs, "logits");
  return {f32({}), f32({inputs[0].shape[0]}), inputs[0]};
}

std::vector<TensorType> infer_grad(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 4);
  check_samples(inputs, "probabilities");
  check_type(inputs[3], "d_loss", f32({}));
  return {inputs[0]};
}

std::vector<Value> gradient(const GradientContext& c) {
  if (c.d_outputs[1] || c.d_outputs[2]) {
    fail(Failure::usage, c.node.label, ": softmax_cross_entropy: its losses or probabilities are ",
         "part of the loss; only its first output has a gradient");
  }
  const Value d_logits =
      c.apply("softmax_cross_entropy_grad",
              {c.outputs[2], c.inputs[1], c.inputs[2], c.d_outputs[0]}, c.node.attributes, "grad");
  return {d_logits, {}, {}};
}

}  // namespace

void describe(Options<SoftmaxCrossEntropyAttributes>& o) {
  o("label_smoothing", &SoftmaxCrossEntropyAttributes::label_smoothing,
    "share of the target spread over all classes", between(0, 1));
}

void add_softmax_cross_entropy(OpRegistry& ops) {
  ops.add({.name = "softmax_cross_entropy",
           .help = "weighted sum of the samples' losses, each loss, and the probabilities",
           .infer = infer,
           .gradient = gradient});
  ops.add({.name = "softmax_cross_entropy_grad",
           .help = "gradient of softmax_cross_entropy",
           .infer = infer_grad,
           .in_place = {{.input = 0, .output = 0}}});
}

}  // namespace lockstep
