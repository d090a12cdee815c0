// What happens to gradients: sums over the shards of a rank, clipping, the optimizer, and the
// running statistics.
//
// Shards are summed as a binary counter adds: shard sums of equal size are joined, so shard k of a
// step always takes the same place in the tree, whatever came before it.
#pragma once

#include <memory>
#include <vector>

#include "plan/state.hpp"
#include "runtime/executor.hpp"

namespace lockstep {

class Update {
 public:
  Update(Device& device, State& state, const UpdatePlan& plan);

  // Moves the gradients of a shard that is not the last into the tree.
  void push_shard();
  // Adds what is in the tree to the last shard's slice of the gradients.
  void merge_shards(const Bucket& bucket);
  // The update proper, once the gradients are summed over all ranks. Empties the tree.
  void run(StepInfo step);

 private:
  struct Level {
    std::byte* sum;
    bool occupied = false;
  };

  double gradient_norm();
  void launch(Kernel& kernel, std::vector<const void*> inputs, std::vector<void*> outputs);
  Kernel& accumulate(int64_t count, double keep, double add);

  Device& device_;
  State& state_;
  double clip_grad_norm_;
  std::unique_ptr<Kernel> optimizer_;
  std::unique_ptr<Kernel> squared_norm_;
  DeviceMemory squared_norm_result_;
  DeviceMemory workspace_;
  std::vector<Level> levels_;
  struct Accumulate {
    int64_t count;
    double keep, add;
    std::unique_ptr<Kernel> kernel;
  };
  std::vector<Accumulate> accumulate_;  // prepared when first wanted
};

}  // namespace lockstep
