// What happens once a step's gradients are summed over all shards and ranks: clipping, the
// optimizer, and the running statistics.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plan/state.hpp"
#include "runtime/host_wait.hpp"

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
  Update(Device& device, State& state, HostWait& wait, const UpdatePlan& plan);
  // With a loss scale other than 0, gradients are of the loss times it; they are divided by it, or
  // the parameters stay as they are where a gradient is not finite. Returns whether they changed.
  // Running statistics, which no scale touches, are updated either way.
  bool run(StepInfo step, double loss_scale);

 private:
  // Neighbouring buffers with the same momentum, gaps of alignment included; in elements.
  struct StatisticRange {
    int64_t offset;
    std::unique_ptr<Kernel> kernel;
  };

  void prepare_statistics();
  void update_parameters(const StepInfo& step);
  double gradient_norm();
  void launch(Kernel& kernel, std::vector<const void*> inputs, std::vector<void*> outputs);

  Device& device_;
  State& state_;
  HostWait& wait_;
  double clip_grad_norm_;
  std::unique_ptr<Kernel> optimizer_;
  std::unique_ptr<Kernel> squared_norm_;
  std::vector<StatisticRange> statistics_;
  DeviceMemory squared_norm_result_;
  HostMemory squared_norm_on_host_;
  DeviceMemory workspace_;
};

}  // namespace lockstep
