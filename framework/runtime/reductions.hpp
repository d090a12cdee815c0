// The sums of a step: gradients over the shards of this rank and then over all ranks, and the sums
// in the middle of a graph (synchronised batch norm).
//
// Shards are summed as a binary counter adds: shard sums of equal size are joined, so shard k of a
// step always takes the same place in the tree, whatever came before it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plan/plan.hpp"
#include "plan/state.hpp"
#include "runtime/communication_thread.hpp"
#include "runtime/compression.hpp"

namespace lockstep {

class Reductions {
 public:
  // Gradients travel between ranks as `travel_type`, f32 or bf16; statistics as f32 always.
  Reductions(Device& device, State& state, CommunicationThread& communication, DType travel_type);

  // Moves the gradients of a shard that is not the step's last into the tree.
  void push_shard();

  // The last shard: each bucket of its plan goes out as soon as the launch that completes it is
  // enqueued, so that sums over ranks overlap with the rest of backward.
  void begin_last_shard(const Plan& plan, int64_t step);
  void after_launch(size_t launch);
  // What is launched next comes after the sums of every bucket over the ranks; empties the tree.
  void finish();

  // Sums a node's output over all ranks, in place, before whatever is launched next.
  void all_reduce(const Node& node, void* data);

 private:
  struct Level {
    std::byte* sum;
    bool occupied = false;
  };
  struct EventDeleter {
    Device* device;
    void operator()(Event* event) const { device->destroy_event(event); }
  };

  void reduce_next_bucket();
  void post(void* data, int64_t count, DType type, Event* after);
  int64_t compressed(const Bucket& bucket) const;
  void accumulate(int64_t count, double keep, void* sum, const void* added);
  Event* ready();

  Device& device_;
  State& state_;
  CommunicationThread& communication_;
  Compression compression_;
  std::vector<Level> levels_;
  // Prepared when first wanted, by number of elements and factor of what there is.
  std::map<std::pair<int64_t, double>, std::unique_ptr<Kernel>> accumulate_;

  const Plan* plan_ = nullptr;  // the last shard's
  int64_t step_ = 0;
  size_t next_bucket_ = 0;
  std::vector<CommunicationThread::Ticket> tickets_;
  std::vector<std::unique_ptr<Event, EventDeleter>> events_;
};

}  // namespace lockstep
