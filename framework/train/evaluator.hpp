// Loss and accuracy over a whole set: every sample counts exactly once over all ranks.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "data/dataset.hpp"
#include "data/loader.hpp"
#include "runtime/executor.hpp"
#include "train/plan_cache.hpp"
#include "train/session.hpp"

namespace lockstep {

struct Evaluation {
  double loss = 0;  // mean cross-entropy, without label smoothing
  double top1 = 0;  // fractions
  double top5 = 0;
  int64_t samples = 0;  // that could be read
  double seconds = 0;
  bool stopped = false;  // before its end: nothing else here is valid
};

// Samples of a batch, of a training whose largest shard has `training_batch`.
int64_t evaluation_batch_size(int64_t training_batch, int64_t samples, int world_size);

class Evaluator {
 public:
  // In batches about as large as those of training, `training_batch` samples on this rank; the last
  // one is padded with samples of weight 0.
  Evaluator(Session& session, const Dataset& dataset, PlanCache& plans, Executor& executor,
            int64_t training_batch);

  // All ranks call it; all get the same result. `look`, if given, sees each batch of this rank and
  // its logits, (capacity, classes).
  // `stop`, if given (on all ranks or none), is asked between batches; what is true on one rank
  // ends the evaluation of all.
  using Look = std::function<void(const Batch& batch, std::span<const float> logits)>;
  using Stop = std::function<bool()>;
  Evaluation run(const Look& look = nullptr, const Stop& stop = nullptr);

 private:
  Session& session_;
  const Dataset& dataset_;
  PlanCache& plans_;
  Executor& executor_;
  int64_t batch_size_;
  Loader loader_;
};

}  // namespace lockstep
