// A shard's share of the running moments: averages over shards and ranks are then plain sums. The
// variance becomes the unbiased one, as PyTorch keeps it.
#include "graph/op.hpp"
#include "ops/attributes.hpp"
#include "ops/check.hpp"

namespace lockstep {
namespace {

std::vector<TensorType> infer(std::span<const TensorType> inputs, const Attributes& attributes) {
  const int64_t count = attributes.as<BatchStatisticsAttributes>().count;
  check_inputs(inputs, count == 0 ? 4 : 3);
  check_dtype(inputs[0], "mean", DType::f32);
  check_rank(inputs[0], "mean", 1);
  check_type(inputs[1], "variance", inputs[0]);
  check_type(inputs[2], "fraction", f32({}));
  if (count == 0) check_type(inputs[3], "moments", f64({2 * inputs[0].shape[0] + 1}));
  return {inputs[0], inputs[0]};
}

}  // namespace

void describe(Options<BatchStatisticsAttributes>& o) {
  o("count", &BatchStatisticsAttributes::count, "values per channel; 0: taken from the moments",
    at_least(0));
}

void add_batch_statistics(OpRegistry& ops) {
  ops.add({.name = "batch_statistics",
           .help = "a shard's share of the running mean and the unbiased running variance",
           .infer = infer,
           .in_place = {{.input = 0, .output = 0}, {.input = 1, .output = 1}}});
}

}  // namespace lockstep
