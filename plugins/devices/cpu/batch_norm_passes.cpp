// The summing passes of batch normalisation, forward and backward.
#include "batch_norm_passes.hpp"

namespace lockstep::cpu {

void find_moments(const float* x, const ImageView& view, const Division& division, int64_t block,
                  int64_t slice, Moments* moments) {
  LaneMoments lanes;
  for_each_chunk(view, division, block, slice,
                 [&](int64_t offset, Rows rows) { add_moments(x + offset, rows, lanes); });
  std::fill_n(moments, view.block, Moments{});
  for (size_t l = 0; l < kLanes; ++l) {
    moments[l % static_cast<size_t>(view.block)].merge(
        {lanes.count[l], lanes.mean[l], lanes.m2[l]});
  }
}

void find_grad_sums(const GradPass& pass, const ImageView& view, const Division& division,
                    int64_t block, int64_t slice, GradSums* sums) {
  const Lanes mean = lanes_of(view, block, [&](int64_t c) { return pass.mean[c]; });
  const auto moved = [](auto* pointer, int64_t offset) {
    return pointer == nullptr ? pointer : pointer + offset;
  };
  LaneGradSums lanes;
  for_each_chunk(view, division, block, slice, [&](int64_t offset, Rows rows) {
    add_grad_sums(pass.x + offset, pass.dy + offset, moved(pass.y, offset),
                  moved(pass.kept, offset), rows, mean, lanes);
  });
  std::fill_n(sums, view.block, GradSums{});
  for (size_t l = 0; l < kLanes; ++l) {
    GradSums& of_channel = sums[l % static_cast<size_t>(view.block)];
    of_channel.g += lanes.g[l];
    of_channel.g_deviation += lanes.g_deviation[l];
  }
}

}  // namespace lockstep::cpu
