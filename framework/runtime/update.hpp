// What happens once a step's gradients are summed over all shards and ranks: clipping, the
// optimizer, and the running statistics.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plan/state.hpp"

namespace lockstep {

// What is to be done with the gradients after the last shard.
struct UpdatePlan {
  std::string optimizer_name;
  std::string optimizer_plugin = {};  // the file it came from
  std::vector<UpdateGroup> groups;
  std::vector<UpdateSegment> segments;
  double clip_grad_norm = 0;  // 0: off
};

class Update {
 public:
  Update(Device& device, State& state, const UpdatePlan& plan);
  void run(StepInfo step);

 private:
  // Neighbouring buffers with the same momentum, gaps of alignment included; in elements.
  struct StatisticRange {
    int64_t offset;
    std::unique_ptr<Kernel> kernel;
  };

  void prepare_statistics();
  double gradient_norm();
  void launch(Kernel& kernel, std::vector<const void*> inputs, std::vector<void*> outputs);

  Device& device_;
  State& state_;
  double clip_grad_norm_;
  std::unique_ptr<Kernel> optimizer_;
  std::unique_ptr<Kernel> squared_norm_;
  std::vector<StatisticRange> statistics_;
  DeviceMemory squared_norm_result_;
  DeviceMemory workspace_;
};

}  // namespace lockstep
