#include "planner.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "check.hpp"

namespace lockstep::cuda {
namespace {

// How many of the heuristics' engines are measured.
constexpr size_t kMeasured = 8;
// How many of these may be compiled at plan time, which takes about a second each.
constexpr size_t kMeasuredCompiled = 3;
// How many engines the heuristics are asked for.
constexpr int64_t kMostEngines = 64;

bool has_note(const Descriptor& engine, cudnnBackendNumericalNote_t note) {
  return engine.has(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, note);
}

bool is_compiled(const Descriptor& engine) {
  return engine.has(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                    CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION);
}

Descriptor engine_of(const Descriptor& configuration) {
  return configuration.parts(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1).at(0);
}

// "cudnn engine 38, tensor cores"
std::string engine_text(const Descriptor& engine) {
  std::string text = concat("cudnn engine ", engine.integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX));
  if (has_note(engine, CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) text += ", tensor cores";
  if (has_note(engine, CUDNN_NUMERICAL_NOTE_WINOGRAD)) text += ", wino";
  if (has_note(engine, CUDNN_NUMERICAL_NOTE_FFT)) text += ", fft";
  if (has_note(engine, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) text += ", not deterministic";
  return is_compiled(engine) ? text + ", compiled" : text;
}

// As the cache keeps it; empty where cuDNN cannot write it down.
std::string storable_form(const ExecutionPlan& plan) {
  try {
    return plan.descriptor().characters(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
  } catch (const Error& error) {
    log::debug(concat(plan.implementation(), " cannot be kept: ", error.what()));
    return "";
  }
}

std::string options_text(const PlannerOptions& options, bool tuned) {
  // "exact": without engines that round inputs or sums to half precision.
  std::string text = options.deterministic ? "exact deterministic" : "exact any";
  if (options.tf32) text += " tf32";
  if (tuned) text += " measured";
  return text + concat(" workspace ", options.most_workspace_bytes);
}

}  // namespace

Planner::Planner(cudnnHandle_t handle, const GpuProperties& gpu, const PlannerOptions& options)
    : handle_(handle), gpu_(gpu), options_(options) {}

Planner::Planner(const std::string& description, const GpuProperties& gpu,
                 const PlannerOptions& options)
    : properties_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR), gpu_(gpu), options_(options) {
  const size_t end = description.find_last_not_of(" \n");
  properties_.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, description.substr(0, end + 1))
      .finalize("device description");
}

// What is measured can come out differently each time: with `deterministic` only what the cache
// keeps for later runs is measured.
bool Planner::tunes() const {
  return handle_ != nullptr && options_.autotune && (cache_.keeps() || !options_.deterministic);
}

std::shared_ptr<const ExecutionPlan> Planner::plan(const OperationGraph& graph) {
  const std::string text = graph.text();
  if (const auto found = plans_.find(text); found != plans_.end()) return found->second;
  if (const auto found = refused_.find(text); found != refused_.end()) {
    fail(Failure::device, found->second);
  }
  watch_(graph.label, nullptr);
  try {
    Plan plan = load_or_choose(graph, text);
    watch_(graph.label, plan.get());
    return plans_[text] = std::move(plan);
  } catch (const Error& error) {
    refused_[text] = error.what();
    throw;
  }
}

std::shared_ptr<const ExecutionPlan> Planner::plan_first(std::span<const OperationGraph> graphs) {
  for (const OperationGraph& graph : graphs) {
    try {
      return plan(graph);
    } catch (const Error& error) {
      log::debug(error.what());
    }
  }
  return nullptr;
}

Planner::Plan Planner::load_or_choose(const OperationGraph& graph, const std::string& text) {
  const PlanKey key{.gpu = gpu_.name,
                    .architecture = gpu_.architecture,
                    .options = options_text(options_, tunes()),
                    .label = graph.label,
                    .graph = text};
  if (Plan stored = load(key)) return stored;
  const auto [chosen, is_to_stay] = choose(graph);
  const std::string form = is_to_stay ? storable_form(*chosen) : "";
  if (!form.empty()) {
    const StoredPlan kept = cache_.store(key, {form, chosen->implementation()});
    if (kept.plan == form) return chosen;
  }
  Plan first = load(key);  // another rank's
  return first != nullptr ? first : chosen;
}

Planner::Plan Planner::load(const PlanKey& key) const {
  const std::optional<StoredPlan> stored = cache_.load(key);
  if (!stored) return nullptr;
  try {
    Descriptor plan = new_plan();
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, stored->plan).finalize("stored plan");
    return std::make_shared<ExecutionPlan>(std::move(plan), stored->implementation);
  } catch (const Error& error) {
    cache_.refuse(key, concat("does not load (", error.what(), ')'));
    return nullptr;
  }
}

Descriptor Planner::new_plan() const {
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  if (handle_ != nullptr) {
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle_);
  } else {
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, properties_);
  }
  return plan;
}

Planner::Choice Planner::choose(const OperationGraph& graph) const {
  std::string refusals;
  const std::vector<Plan> plans = candidates(graph, tunes() ? kMeasured : 1, refusals);
  if (plans.empty()) {
    fail(Failure::device, graph.label, ": cuDNN ", cudnn_version_text(), " has no engine on sm_",
         gpu_.architecture, " (", options_text(options_, false), "): ", refusals);
  }
  if (plans.size() == 1) return {plans[0], true};
  std::vector<double> times;
  for (const Plan& plan : plans) times.push_back(time_or_infinity(graph, plan));
  const auto fastest = std::min_element(times.begin(), times.end());
  return {plans[static_cast<size_t>(fastest - times.begin())], std::isfinite(*fastest)};
}

double Planner::time_or_infinity(const OperationGraph& graph, const Plan& plan) const {
  try {
    return measure(handle_, graph, plan);
  } catch (const Error& error) {
    log::debug(
        concat(graph.label, ": ", plan->implementation(), " is not measured: ", error.what()));
    (void)cudaGetLastError();  // it is not the next launch's
    return std::numeric_limits<double>::infinity();
  }
}

// Plans of the engines that heuristics name, best first; what they have to say of none comes from
// the fallback, which knows the general engines.
std::vector<Planner::Plan> Planner::candidates(const OperationGraph& graph, size_t most,
                                               std::string& refusals) const {
  std::vector<Plan> plans;
  size_t compiled_plans = 0;
  const auto refuse = [&](const char* reason) {
    if (refusals.find(reason) == refusals.npos) {
      refusals += concat(refusals.empty() ? "" : "; ", reason);
    }
  };
  const Descriptor operations = graph.descriptor(handle_);
  for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    std::vector<Descriptor> configurations;
    try {
      configurations = engines(operations, mode);
    } catch (const Error& error) {
      refuse(error.what());
    }
    for (const Descriptor& configuration : configurations) {
      const bool compiled = is_compiled(engine_of(configuration));
      if (compiled && compiled_plans == kMeasuredCompiled) continue;
      try {
        Plan plan = plan_engine(configuration, graph);
        // What is measured must be what later runs have, too.
        if (most > 1 && options_.deterministic && storable_form(*plan).empty()) {
          fail(Failure::device, "an engine's plan cannot be kept");
        }
        plans.push_back(std::move(plan));
        if (compiled) ++compiled_plans;
      } catch (const Error& error) {
        refuse(error.what());
        (void)cudaGetLastError();  // it is not the next launch's
      }
      if (plans.size() == most) return plans;
    }
    if (!plans.empty()) break;
  }
  return plans;
}

std::vector<Descriptor> Planner::engines(const Descriptor& graph,
                                         cudnnBackendHeurMode_t mode) const {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
  if (handle_ == nullptr) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, properties_);
  heuristics.finalize("engine heuristics");
  return heuristics.parts(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                          kMostEngines);
}

Planner::Plan Planner::plan_engine(const Descriptor& configuration,
                                   const OperationGraph& graph) const {
  const Descriptor engine = engine_of(configuration);
  if (has_note(engine, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) ||
      has_note(engine, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) {
    fail(Failure::device, "an engine rounds its inputs or sums to half precision");
  }
  if (options_.deterministic && has_note(engine, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)) {
    fail(Failure::device, "an engine is not deterministic");
  }
  if (!options_.tf32 && graph.is_f32 && has_note(engine, CUDNN_NUMERICAL_NOTE_TENSOR_CORE)) {
    fail(Failure::device, "an engine computes in TF32");
  }
  Descriptor descriptor = new_plan();
  descriptor.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration).finalize("plan");
  auto plan = std::make_shared<ExecutionPlan>(std::move(descriptor), engine_text(engine));
  if (plan->workspace_bytes() > options_.most_workspace_bytes) {
    fail(Failure::device, "an engine wants ", bytes_text(plan->workspace_bytes()),
         " of workspace, more than ", bytes_text(options_.most_workspace_bytes));
  }
  return plan;
}

}  // namespace lockstep::cuda
