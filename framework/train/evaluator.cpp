#include "train/evaluator.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "data/batch.hpp"

namespace lockstep {

int64_t evaluation_batch_size(int64_t training_batch, int64_t samples, int world_size) {
  // Small training batches are for learning, or for a memory that holds all activations; evaluation
  // keeps few of them.
  constexpr int64_t kLeast = 32;
  const int64_t share = (samples + world_size - 1) / world_size;
  return std::min(std::max(training_batch, kLeast), std::max<int64_t>(share, 1));
}

namespace {

// Agrees between batches whether a rank is to stop, waiting for nobody: what a rank says before one
// batch all know before the next.
class AgreedStop {
 public:
  explicit AgreedStop(CommunicationThread& communication) : communication_(communication) {}
  ~AgreedStop() { communication_.wait(ticket_); }
  AgreedStop(const AgreedStop&) = delete;
  AgreedStop& operator=(const AgreedStop&) = delete;

  // All ranks call it equally often; the same answer on all.
  bool before_batch(bool wanted) {
    communication_.wait(ticket_);
    if (votes_ > 0) return true;
    votes_ = wanted ? 1 : 0;
    ticket_ = communication_.post_all_reduce(&votes_, 1, DType::f64, Memory::host, nullptr,
                                             "stop of evaluation");
    return false;
  }

 private:
  CommunicationThread& communication_;
  CommunicationThread::Ticket ticket_;
  double votes_ = 0;
};

}  // namespace

Evaluator::Evaluator(Session& session, const Dataset& dataset, PlanCache& plans, Executor& executor,
                     int64_t training_batch)
    : session_(session),
      dataset_(dataset),
      plans_(plans),
      executor_(executor),
      batch_size_(evaluation_batch_size(training_batch, dataset.size(),
                                        session.communication->world_size())),
      loader_(dataset, session.data.eval_transforms,
              {.seed = session.recipe.seed,
               .workers = loader_workers(session.recipe, *session.device),
               .capacity = batch_size_,
               .class_weights = {},
               .bad_samples = session.bad_samples},
              *session.device) {}

Evaluation Evaluator::run(const Look& look, const Stop& stop) {
  const auto begin = std::chrono::steady_clock::now();
  CommunicationThread& communication = *session_.communication;
  const int64_t samples = dataset_.size();
  const Slice mine = part_of({0, samples}, communication.rank(), communication.world_size());
  const std::vector<Slice> batches = cut_into_batches(mine, batch_size_);

  // Ranks differ by a sample, so some may have a batch less.
  const int ranks = communication.world_size();
  const Slice largest = part_of({0, samples}, ranks - 1, ranks);
  const size_t turns = cut_into_batches(largest, batch_size_).size();

  MetricSums sums;
  loader_.start(0, sample_order(samples, false, 0, 0), batches);
  AgreedStop agreed(communication);
  for (size_t i = 0; i < turns; ++i) {
    if (stop && agreed.before_batch(stop())) return {.stopped = true};
    if (i >= batches.size()) continue;
    const Batch batch = loader_.next();
    Plan& plan = plans_.get(executor_, Mode::evaluation, batch_size_);
    sums += executor_.evaluate(plan, batch);
    if (look) look(batch, executor_.output(plan, Role::logits));
    loader_.release(batch);
  }

  std::array<double, 5> all = {sums.loss, sums.weight, sums.top1, sums.top5, sums.samples};
  communication.sum(all, "evaluation metrics");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const auto [loss, weight, top1, top5, seen] = all;
  if (seen == 0) {
    fail(Failure::data, "evaluation: none of ", samples,
         " samples can be read; expected at least one; the warnings say why");
  }
  return {.loss = loss / weight,
          .top1 = top1 / seen,
          .top5 = top5 / seen,
          .samples = std::llround(seen),
          .seconds = seconds.count()};
}

}  // namespace lockstep
