// What a training consists of on this rank, made from the recipe, the data and the ranks.
#pragma once

#include <memory>
#include <string>

#include "data/loader.hpp"
#include "plan/state.hpp"
#include "runtime/executor.hpp"
#include "train/evaluator.hpp"
#include "train/feature_cache.hpp"
#include "train/learning_rate.hpp"
#include "train/plan_cache.hpp"
#include "train/session.hpp"
#include "train/steps.hpp"

namespace lockstep {

struct Setup {
  // The session's data is open for training. Checks what the recipe asks for against the data and
  // the ranks (Error{usage}, Error{data}), compiles the plan of the first step, and makes sure that
  // recipe and collectives are the same on all ranks. All ranks make one.
  explicit Setup(Session& session);

  std::string recipe_text;  // resolved
  EpochSteps steps;
  int64_t epochs;  // that the recipe's limits allow, for people; 0: not known
  std::shared_ptr<const Optimizer> optimizer;
  LearningRate learning_rate;
  PlanRequest request;
  std::unique_ptr<FeatureCache> feature_cache;  // null without data.cache_features
  Sharding sharding;
  int64_t largest_shard;  // samples, on this rank
  State state;
  PlanCache plans;
  Executor executor;
  Loader loader;
  Evaluator evaluator;                        // on the validation set, else the test set
  std::unique_ptr<Evaluator> test_evaluator;  // for the end, where evaluator has the validation set
};

}  // namespace lockstep
