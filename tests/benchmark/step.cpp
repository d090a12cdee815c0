// Training steps of a recipe's model, or evaluations, on one fixed batch of noise, driven line by
// line through standard input:
//
//   benchmark_step training|evaluation RECIPE CHANNELS HEIGHT WIDTH CLASSES [KEY=VALUE …]
//
//   STEPS          runs so many and prints the seconds they took
//   profile STEPS  the same, and prints what each launch took as one line of JSON
//
// Between lines it sleeps, so that another program can be measured in turn with it
// (tests/benchmark/compare).
#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/random.hpp"
#include "plan/state.hpp"
#include "recipe/recipe.hpp"
#include "runtime/executor.hpp"
#include "train/loss_scale.hpp"
#include "train/session.hpp"
#include "train/update_groups.hpp"

namespace lockstep {
namespace {

struct Arguments {
  Mode mode = Mode::training;
  std::string recipe;
  Shape image;
  int64_t classes = 0;
  std::vector<std::string> sets;
};

// Pictures of noise with labels by turns, in the memory that the device wants for batches.
class NoiseBatch {
 public:
  NoiseBatch(Device& device, int64_t samples, const Shape& image, int64_t classes)
      : samples_(samples),
        images_(device, samples * image.numel()),
        labels_(device, samples * size_of(DType::i32)),
        weights_(device, samples * size_of(DType::f32)),
        indices_(device, samples * size_of(DType::i64)) {
    RandomStream random(1, "benchmark");
    const Batch filled = batch();
    for (int64_t i = 0; i < images_.bytes(); ++i) {
      filled.images[i] = static_cast<uint8_t>(random.below(256));
    }
    for (int64_t i = 0; i < samples; ++i) {
      filled.labels[i] = static_cast<int32_t>(i % classes);
      filled.weights[i] = 1;
      filled.indices[i] = i;
    }
  }

  Batch batch() const {
    return {.samples = samples_,
            .capacity = samples_,
            .images = reinterpret_cast<uint8_t*>(images_.data()),
            .labels = reinterpret_cast<int32_t*>(labels_.data()),
            .weights = reinterpret_cast<float*>(weights_.data()),
            .indices = reinterpret_cast<int64_t*>(indices_.data())};
  }

 private:
  int64_t samples_;
  HostMemory images_, labels_, weights_, indices_;
};

PlanRequest request_for(const Recipe& recipe, const Arguments& arguments, Registry& registry) {
  OpenedData data;
  data.image = arguments.image;
  data.classes = arguments.classes;
  data.mean = recipe.data.mean;
  data.std = recipe.data.std;
  PlanRequest request = plan_request(recipe, data, registry);
  request.batch_size = recipe.train.global_batch_size;
  request.mode = arguments.mode;
  return request;
}

class Bench {
 public:
  explicit Bench(const Arguments& arguments)
      : recipe_(load_recipe(arguments.recipe, arguments.sets, registry_)),
        communication_(start_communication(recipe_, registry_)),
        device_(make_device(recipe_, registry_, 0, 1)),
        optimizer_(
            registry_.find_optimizer(recipe_.optimizer.name).make(recipe_.optimizer.options)),
        request_(request_for(recipe_, arguments, registry_)),
        state_(*device_, parameter_layout(request_, request_.mode, registry_, *device_),
               optimizer_->slots(), 1, is_training()),
        plan_(compile(request_, registry_, *device_, state_.layout)),
        executor_(*device_, state_, *communication_),
        noise_(*device_, request_.batch_size, arguments.image, arguments.classes) {
    state_.initialize({.seed = recipe_.seed});
    executor_.attach(plan_, arguments.image);
    if (!is_training()) return;
    UpdatePlan update =
        plan_update(state_.layout, recipe_.optimizer, optimizer_, recipe_.train.clip_grad_norm);
    update.optimizer_plugin = registry_.find_optimizer(recipe_.optimizer.name).plugin;
    executor_.prepare_update(update);
  }

  // Seconds for so many steps.
  double run(int64_t steps) {
    const auto started = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < steps; ++i) is_training() ? train() : evaluate();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  }

  // {"step_seconds", "launch_seconds", "launches": [{"op", "label", "seconds", "implementation"}]},
  // all per step.
  std::string profile(int64_t steps) {
    const LaunchTimes before = executor_.times();
    executor_.collect_times(true);
    run(steps);
    executor_.collect_times(false);
    const LaunchTimes& times = executor_.times();
    const auto per_step = [&](double now, double then) {
      return (now - then) / static_cast<double>(steps);
    };
    nlohmann::json result{{"device", device_->description()},
                          {"step_seconds", per_step(times.step_seconds, before.step_seconds)},
                          {"launch_seconds", per_step(times.launch_seconds, before.launch_seconds)},
                          {"launches", nlohmann::json::array()}};
    const auto add = [&](const std::string& label, std::string_view op, std::string_view how) {
      const auto found = before.by_label.find(label);
      const double then = found == before.by_label.end() ? 0 : found->second.first;
      result["launches"].push_back({{"op", op},
                                    {"label", label},
                                    {"implementation", how},
                                    {"seconds", per_step(times.by_label.at(label).first, then)}});
    };
    for (const Launch& launch : plan_.launches) {
      const Node& node = plan_.node(launch);
      if (launch.kernel != nullptr) add(node.label, node.op, launch.kernel->implementation());
    }
    if (is_training()) add("update", "update", "");
    return result.dump();
  }

 private:
  bool is_training() const { return request_.mode == Mode::training; }

  void train() {
    ++step_;
    // A small rate: noise is not to be learnt, and numbers are to stay ordinary.
    const Executor::StepContext context{.update = {.lr = 1e-4F, .step = step_},
                                        .step = step_,
                                        .seed = recipe_.seed,
                                        .global_samples = request_.batch_size,
                                        .loss_scale = initial_loss_scale(recipe_.train)};
    executor_.train_step(
        context,
        [&](int64_t) {
          return Executor::Shard{&plan_, noise_.batch()};
        },
        [](const Batch&) {});
  }

  void evaluate() { executor_.evaluate(plan_, noise_.batch()); }

  Registry registry_;
  Recipe recipe_;
  std::unique_ptr<CommunicationThread> communication_;
  std::unique_ptr<Device> device_;
  std::shared_ptr<const Optimizer> optimizer_;
  PlanRequest request_;
  State state_;
  Plan plan_;
  Executor executor_;
  NoiseBatch noise_;
  int64_t step_ = 0;
};

int serve(const Arguments& arguments) {
  Bench bench(arguments);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string first;
    words >> first;
    int64_t steps = 0;
    if (first == "profile" && words >> steps && steps > 0) {
      fmt::print("{}\n", bench.profile(steps));
    } else if (std::istringstream(first) >> steps && steps > 0) {
      fmt::print("{}\n", bench.run(steps));
    } else {
      fail(Failure::usage, "standard input: found '", line, "'; expected STEPS or profile STEPS");
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  const std::string mode = argc < 2 ? "" : argv[1];
  if (argc < 7 || (mode != "training" && mode != "evaluation")) {
    fmt::print(stderr,
               "benchmark_step training|evaluation RECIPE CHANNELS HEIGHT WIDTH CLASSES "
               "[KEY=VALUE …]\n");
    return 2;
  }
  try {
    lockstep::Arguments arguments{
        .mode = mode == "training" ? lockstep::Mode::training : lockstep::Mode::evaluation,
        .recipe = argv[2],
        .image = {std::stoll(argv[3]), std::stoll(argv[4]), std::stoll(argv[5])},
        .classes = std::stoll(argv[6]),
        .sets = {argv + 7, argv + argc}};
    return lockstep::serve(arguments);
  } catch (const std::exception& error) {
    fmt::print(stderr, "benchmark_step: {}\n", error.what());
    return 1;
  }
}
