// Sums from which loss and accuracy follow; sums, so that shards and ranks just add them.
#include "graph/op.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes&) {
  check_inputs(inputs, 4);
  check_dtype(inputs[0], "logits", DType::f32);
  check_rank(inputs[0], "logits", 2);
  const int64_t samples = inputs[0].shape[0];
  check_type(inputs[1], "labels", {DType::i32, {samples}});
  check_type(inputs[2], "weights", f32({samples}));
  check_type(inputs[3], "losses", f32({samples}));
  return {f64({5})};
}

}  // namespace

void add_classification_metrics(OpRegistry& ops) {
  ops.add({.name = "classification_metrics",
           .help = "sums of loss and weight; counts of top-1 hits, top-5 hits and samples",
           .infer = infer});
}

}  // namespace lockstep
