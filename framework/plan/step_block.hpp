// The small block of device memory that holds everything which changes from step to step. Kernels
// get addresses into it as ordinary inputs, so that launches bake in nothing and a step can be
// captured and replayed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "train/optimizer.hpp"

namespace lockstep {

struct StepBlock {
  int64_t random_key[2] =
      {};  // input "random_key" i64(2): seed, and a number of the (epoch); dropout draws by it
  float loss_scale = 1;  // input "loss_scale" f32(): 1 / samples of the global batch, times what
                         // fp16 scales the loss with; seeds the gradient
  float shard_fraction =
      1;  // input "shard_fraction" f32(): this shard's samples / samples of the global batch
  StepInfo update;  // read by the optimizer's launches
};

}  // namespace lockstep
