#include "train/accumulation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "plan/memory_demand.hpp"
#include "train/evaluator.hpp"

namespace lockstep {
namespace {

// This rank's device, and what a training takes of it.
class Fit {
 public:
  Fit(Session& session, const EpochSteps& steps, const PlanRequest& request, int optimizer_slots)
      : session_(session),
        step_(steps.at(0)),
        world_size_(session.communication->world_size()),
        request_(request),
        layout_(parameter_layout(request, Mode::training, session.registry, *session.device)),
        optimizer_slots_(optimizer_slots),
        free_(free_for_this_rank(session)) {}

  // Where the device does not say what is free, everything fits.
  bool is_known() const { return free_ >= 0; }
  int64_t free() const { return free_; }

  // The largest shard that fits, of at most `most` samples. Shapes tell nearly all; for what they
  // leave out, the kernels of the candidate alone are prepared. 0: none fits.
  int64_t largest_shard(int64_t most) const {
    Extra extra;
    int64_t shard = largest_fitting(most, [&](int64_t n) { return demand(n, extra) <= free_; });
    while (shard > 0) {
      extra = extra_of(shard);
      if (demand(shard, extra) <= free_) break;
      shard = largest_fitting(shard - 1, [&](int64_t n) { return demand(n, extra) <= free_; });
    }
    return shard;
  }

  // Everything, with shards of n samples.
  int64_t demand(int64_t n) const { return demand(n, extra_of(n)); }

 private:
  // What shapes do not tell.
  struct Extra {
    int64_t workspace = 0;
    int64_t constants = 0;
  };

  // Ranks without a GPU of their own share the host's memory. A sixteenth is left for what is
  // allocated besides.
  static int64_t free_for_this_rank(const Session& session) {
    const Device& device = *session.device;
    const int64_t free = device.free_bytes();
    if (free < 0) return free;
    const int ranks = device.unique_id().empty() ? session.communication->local_size() : 1;
    return free / ranks / 16 * 15;
  }

  PlanRequest plan(Mode mode, int64_t n) const {
    PlanRequest request = request_;
    request.mode = mode;
    request.batch_size = mode == Mode::training
                             ? n
                             : evaluation_batch_size(n, session_.data.test->size(), world_size_);
    return request;
  }

  int64_t demand(int64_t n, const Extra& extra) const {
    const int64_t shards = accumulation_for(step_, world_size_, n);
    const PlanDemand training =
        plan_demand(plan(Mode::training, n), session_.registry, *session_.device, layout_);
    const PlanDemand evaluation =
        plan_demand(plan(Mode::evaluation, n), session_.registry, *session_.device, layout_);
    return state_demand(layout_, optimizer_slots_, shards, true).total() +
           std::max(training.activations, evaluation.activations) +
           std::max(training.batch, evaluation.batch) + extra.workspace + extra.constants;
  }

  Extra extra_of(int64_t n) const {
    Extra extra;
    for (Mode mode : {Mode::training, Mode::evaluation}) {
      const Plan compiled = compile(plan(mode, n), session_.registry, *session_.device, layout_);
      extra.workspace = std::max(extra.workspace, compiled.workspace_bytes);
      extra.constants += compiled.constant_bytes;
    }
    return extra;
  }

  Session& session_;
  Slice step_;
  int world_size_;
  const PlanRequest& request_;
  ParameterLayout layout_;
  int optimizer_slots_;
  int64_t free_;
};

int64_t largest_over_ranks(CommunicationThread& communication, int64_t mine) {
  int64_t largest = mine;
  for (const std::string& text :
       communication.gather(std::to_string(mine), "gradient accumulation")) {
    largest = std::max<int64_t>(largest, std::stoll(text));
  }
  return largest;
}

}  // namespace

int64_t accumulation_for(const Slice& step, int world_size, int64_t most) {
  const int64_t samples = most * world_size;
  return (step.size() + samples - 1) / samples;
}

int64_t agree_on_accumulation(Session& session, const EpochSteps& steps, const PlanRequest& request,
                              int optimizer_slots) {
  const int64_t asked = session.recipe.train.gradient_accumulation;
  if (!session.recipe.train.auto_accumulate) return asked;
  const int world_size = session.communication->world_size();
  const Slice step = steps.at(0);
  const int64_t whole = (step.size() + world_size * asked - 1) / (world_size * asked);

  const Fit fit(session, steps, request, optimizer_slots);
  int64_t mine = asked;
  if (fit.is_known()) {
    const int64_t shard = fit.largest_shard(whole);
    // Where not even one sample fits, the error that follows says what is missing.
    if (shard < whole) mine = accumulation_for(step, world_size, std::max<int64_t>(shard, 1));
  } else if (session.is_first()) {
    log::warn(concat("train.auto_accumulate: device ", session.device->name(),
                     " does not say how much memory is free; nothing is changed"));
  }
  const int64_t agreed = largest_over_ranks(*session.communication, mine);
  if (agreed != asked && session.is_first()) {
    const int64_t shard = (step.size() + world_size * agreed - 1) / (world_size * agreed);
    log::info(fmt::format(
        "train.auto_accumulate: {} shards of up to {} samples per rank in place of {}; on this "
        "rank they need {} of {}",
        agreed, shard, asked, bytes_text(fit.demand(shard)), bytes_text(fit.free())));
  }
  return agreed;
}

}  // namespace lockstep
