#include "train/setup.hpp"

#include <algorithm>
#include <limits>

#include "base/patterns.hpp"
#include "base/text.hpp"
#include "data/class_weights.hpp"
#include "runtime/guard.hpp"
#include "train/accumulation.hpp"
#include "train/update_groups.hpp"

namespace lockstep {
namespace {

EpochSteps checked_steps(const Session& session) {
  const Recipe& recipe = session.recipe;
  const int64_t samples = session.data.train->size();
  const int64_t ranks = session.communication->world_size();
  const int64_t batch = recipe.train.global_batch_size;
  const std::string& where = recipe.place("train.global_batch_size");
  if (batch < ranks) {
    fail(Failure::usage, where, ": train.global_batch_size is ", batch,
         "; expected at least one sample for each of ", ranks,
         " ranks; raise it or start fewer ranks");
  }
  if (samples < ranks) {
    fail(Failure::data, "data: the training set of '", recipe.data.name, "' has ", samples,
         " samples; expected at least one for each of ", ranks, " ranks; start fewer ranks");
  }
  const EpochSteps steps{
      .samples = samples, .global_batch_size = batch, .drop_last = recipe.data.drop_last};
  if (steps.count() == 0) {
    fail(Failure::usage, where, ": train.global_batch_size is ", batch,
         ", but the training set has ", samples,
         " samples and data.drop_last leaves out what fills no batch; take a smaller batch");
  }
  return steps;
}

Sharding make_sharding(const Session& session, int64_t shards_per_rank) {
  return {.rank = session.communication->rank(),
          .world_size = session.communication->world_size(),
          .per_rank = shards_per_rank};
}

// The plan of the first step; where it does not fit, the error says which key makes it fit.
const Plan& first_plan(Setup& setup, const Recipe& recipe) {
  try {
    return setup.plans.get(setup.executor, Mode::training, setup.largest_shard);
  } catch (PlanOutOfMemory& error) {
    const int64_t fitting = error.fitting_batch();
    if (fitting == 0) throw error;
    const int64_t shards = accumulation_for(setup.steps.at(0), setup.sharding.world_size, fitting);
    fail(Failure::device, recipe.place("train.global_batch_size"), ": ", error.what(),
         "; take train.gradient_accumulation = ", shards,
         ", which keeps the global batch, or train.auto_accumulate = true");
  }
}

// The whole training in epochs, for the schedule. Where the recipe does not say, max_steps does;
// time alone says nothing.
double schedule_epochs(const TrainSection& train, const EpochSteps& steps) {
  if (train.epochs >= 0) return static_cast<double>(train.epochs);
  if (train.max_steps >= 0)
    return static_cast<double>(train.max_steps) / static_cast<double>(steps.count());
  return std::numeric_limits<double>::infinity();
}

// The epochs that will be begun at most; 0 where only time ends the training.
int64_t planned_epochs(const TrainSection& train, const EpochSteps& steps) {
  const int64_t by_steps =
      train.max_steps < 0 ? 0 : (train.max_steps + steps.count() - 1) / steps.count();
  if (train.epochs < 0 || train.max_steps < 0) return std::max<int64_t>(train.epochs, by_steps);
  return std::min(train.epochs, by_steps);
}

LearningRate make_learning_rate(Session& session, const EpochSteps& steps) {
  const Recipe& recipe = session.recipe;
  return {scaled_lr(recipe.optimizer.lr, recipe.optimizer.lr_reference_batch,
                    recipe.train.global_batch_size),
          recipe.schedule,
          session.registry.find_schedule(recipe.schedule.name).make(recipe.schedule.options),
          steps.count(), schedule_epochs(recipe.train, steps)};
}

// Patterns that name no parameter are mistyped; a training that trains nothing is a mistake.
void check_patterns(const Recipe& recipe, const ParameterLayout& layout) {
  std::vector<std::string> names;
  for (const ParameterSlot& parameter : layout.parameters) names.push_back(parameter.name);
  const auto check = [&](const std::vector<std::string>& patterns, const std::string& key) {
    const std::string idle = NamePatterns(patterns).find_idle(names);
    if (idle.empty()) return;
    fail(
        Failure::usage, recipe.place(key), ": ", key, ": \"", idle,
        "\" names no parameter of the model", did_you_mean(idle, names),
        "; expected names or patterns such as \"layer1\", \"*.bn1\" or \"!fc\"; `lockstep summary` "
        "lists the layers");
  };
  check(recipe.train.freeze, "train.freeze");
  for (const OptimizerGroup& group : recipe.optimizer.groups) {
    check(group.parameters, "optimizer.groups");
  }
  if (layout.trainable_elements == 0) {
    fail(Failure::usage, recipe.place("train.freeze"),
         ": train.freeze names every parameter; expected some left to train, as with \"!fc\"");
  }
}

LoaderOptions loader_options(const Session& session, int64_t capacity) {
  return {.seed = session.recipe.seed,
          .workers = loader_workers(session.recipe, *session.device),
          .capacity = capacity,
          .class_weights = class_weights(session.recipe.data.class_weights, *session.data.train),
          .bad_samples = session.bad_samples};
}

}  // namespace

Setup::Setup(Session& session)
    : recipe_text(resolved_text(session.recipe, session.registry)),
      steps(checked_steps(session)),
      epochs(planned_epochs(session.recipe.train, steps)),
      optimizer(session.registry.find_optimizer(session.recipe.optimizer.name)
                    .make(session.recipe.optimizer.options)),
      learning_rate(make_learning_rate(session, steps)),
      request(plan_request(session.recipe, session.data, session.registry)),
      feature_cache(session.recipe.data.cache_features
                        ? std::make_unique<FeatureCache>(session, request)
                        : nullptr),
      sharding(make_sharding(session,
                             agree_on_accumulation(session, steps, request, optimizer->slots()))),
      largest_shard(sharding.largest_shard(steps.at(0))),
      state(*session.device,
            parameter_layout(request, Mode::training, session.registry, *session.device),
            optimizer->slots(), sharding.per_rank, true),
      plans(request, session.registry, *session.device, state.layout),
      executor(*session.device, state, *session.communication, executor_options(session.recipe)),
      loader(*session.data.train, session.data.train_transforms,
             loader_options(session, largest_shard), *session.device),
      evaluator(session, session.data.validation ? *session.data.validation : *session.data.test,
                plans, executor, largest_shard) {
  if (session.data.validation) {
    test_evaluator =
        std::make_unique<Evaluator>(session, *session.data.test, plans, executor, largest_shard);
  }
  const Recipe& recipe = session.recipe;
  check_patterns(recipe, state.layout);
  const Plan& first = first_plan(*this, recipe);
  UpdatePlan update =
      plan_update(state.layout, recipe.optimizer, optimizer, recipe.train.clip_grad_norm);
  update.optimizer_plugin = session.registry.find_optimizer(recipe.optimizer.name).plugin;
  executor.prepare_update(update);
  require_equal(*session.communication, "the plan's collectives", first.collectives());
}

}  // namespace lockstep
