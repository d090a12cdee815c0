// A small training on several ranks of one process: on the reference device with sums on host
// memory, or on simulated devices with sums in stream order. Both must give the same bits.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugin/registry.hpp"
#include "runtime/executor.hpp"
#include "support/simulated_device.hpp"
#include "support/simulated_ranks.hpp"
#include "support/training_rig.hpp"

namespace lockstep::testing {

struct SimulatedTraining {
  int ranks = 2;
  int64_t shards = 2;
  std::vector<int64_t> step_samples = {7, 7};  // of the global batch; shards of 0 are empty
  DType precision = DType::f32;
  std::vector<double> loss_scales = {};  // of the steps; those beyond have none
  double clip_grad_norm = 0;
  bool sync_batch_norm = true;
  bool profile = false;
  bool record = true;
  int64_t bucket_bytes = 1;  // every gradient its own
  DType travel_type = DType::f32;
  double timeout_seconds = 60;
};

// What a rank has at the end.
struct RankResult {
  std::vector<double> losses;  // of this rank's shards, by step
  std::vector<bool> skipped;   // updates, by step
  std::vector<float> parameters, slots, buffers;
  bool operator==(const RankResult&) const = default;
};

// What is to be known of simulated devices beside the results.
struct SimulatedReport {
  std::vector<std::string> violations;
  std::vector<OrderCall> calls;  // of rank 0, from its first step
  int64_t replays = 0;           // of rank 0
};

namespace detail {

// Batch norms, a residual, several buckets; of 4 by 4 pictures.
inline PlanRequest simulated_request(const SimulatedTraining& training) {
  PlanRequest request;
  request.image = {4, 4, 4};  // so that each sample more needs more memory
  request.sync_batch_norm = training.sync_batch_norm;
  request.bucket_bytes = training.bucket_bytes;
  request.precision = training.precision;
  request.model = [](Scope s, Value x) -> ModelOutput {
    const nn::Conv2d conv{.out = 3, .kernel = 3, .padding = 1};
    x = nn::relu(nn::batch_norm(s / "bn1", nn::conv2d(s / "conv1", x, conv)));
    x = nn::relu(nn::batch_norm(s / "bn2", nn::conv2d(s / "conv2", x, conv)) + x);
    x = nn::dropout(s / "dropout", nn::global_avg_pool(x), 0.25);
    return nn::linear(s / "fc", x, {.out = 4});
  };
  return request;
}

// With the plugins open: ranks that are threads ask for them at once.
inline Registry& simulated_registry() {
  static Registry registry = [] {
    Registry opened;
    opened.find_device("reference");
    opened.find_optimizer("sgd");
    return opened;
  }();
  return registry;
}

// Host memory for batches, of the device's choice; what has been released is soon overwritten.
class BatchMemory {
 public:
  BatchMemory(Device& device, HostSamples& samples, int64_t capacity)
      : samples_(samples),
        capacity_(capacity),
        images_(device, capacity * samples.image.numel()),
        labels_(device, capacity * size_of(DType::i32)),
        weights_(device, capacity * size_of(DType::f32)),
        indices_(device, capacity * size_of(DType::i64)) {}

  Batch fill(Slice slice) {
    const Batch from = samples_.slice(slice);
    const auto copy = [&](HostMemory& memory, const auto* values, int64_t count) {
      const int64_t bytes = count * static_cast<int64_t>(sizeof *values);
      std::copy_n(reinterpret_cast<const std::byte*>(values), bytes, memory.data());
    };
    copy(images_, from.images, slice.size() * samples_.image.numel());
    copy(labels_, from.labels, slice.size());
    copy(weights_, from.weights, slice.size());
    copy(indices_, from.indices, slice.size());
    return {.samples = slice.size(),
            .capacity = capacity_,
            .images = reinterpret_cast<uint8_t*>(images_.data()),
            .labels = reinterpret_cast<int32_t*>(labels_.data()),
            .weights = reinterpret_cast<float*>(weights_.data()),
            .indices = reinterpret_cast<int64_t*>(indices_.data())};
  }
  void spoil() {
    for (HostMemory* memory : {&images_, &labels_, &weights_, &indices_}) {
      std::fill_n(memory->data(), memory->bytes(), std::byte{1});
    }
  }

 private:
  HostSamples& samples_;
  int64_t capacity_;
  HostMemory images_, labels_, weights_, indices_;
};

class SimulatedRank {
 public:
  SimulatedRank(const SimulatedTraining& training, SimulatedRanks& ranks, int rank,
                std::unique_ptr<Device> device)
      : training_(training),
        rank_(rank),
        request_(simulated_request(training)),
        device_(std::move(device)),
        communication_([&] { return ranks.make(rank, !device_->host_accessible()); },
                       training.timeout_seconds),
        state_(*device_, make_layout(), 1, training.shards, true),
        executor_(*device_, state_, communication_,
                  {.record = training.record, .travel_type = training.travel_type}),
        batch_(*device_, samples_, 16) {
    communication_.attach(*device_);
    state_.initialize({.seed = 3});
    UpdatePlan update;
    update.optimizer_name = "sgd";
    update.groups = {{simulated_registry().find_optimizer("sgd").make(momentum()), 1.0f}};
    update.segments = {{0, state_.layout.trainable_elements, 0}};
    update.clip_grad_norm = training.clip_grad_norm;
    executor_.prepare_update(update);
    executor_.collect_times(training.profile);
  }

  // Step `index`, from 0; returns the loss of this rank's shards.
  double step(size_t index) {
    const int64_t samples = training_.step_samples[index];
    Executor::StepContext context;
    context.step = static_cast<int64_t>(index) + 1;
    context.update = {.lr = 0.05f, .step = context.step};
    context.global_samples = samples;
    context.shards = training_.shards;
    if (index < training_.loss_scales.size()) context.loss_scale = training_.loss_scales[index];
    const MetricSums sums = executor_.train_step(
        context,
        [&](int64_t k) -> Executor::Shard {
          const Slice slice = shard(samples, k);
          if (slice.size() == 0) return {&plan(1), {}};
          return {&plan(slice.size()), batch_.fill(slice)};
        },
        [&](const Batch&) { batch_.spoil(); });
    return sums.loss;
  }

  // All steps.
  RankResult train() {
    RankResult result;
    for (size_t i = 0; i < training_.step_samples.size(); ++i) {
      result.losses.push_back(step(i));
      result.skipped.push_back(executor_.skipped_update());
    }
    const auto read = [&](const DeviceMemory& arena) {
      return state_.read(arena, 0, arena.bytes() / size_of(DType::f32));
    };
    result.parameters = read(state_.parameters);
    result.slots = read(state_.slots[0]);
    result.buffers = read(state_.buffers);
    return result;
  }

  // The loss of an evaluation right behind the making of its plan.
  double evaluate(int64_t samples) {
    PlanRequest request = request_;
    request.mode = Mode::evaluation;
    request.batch_size = samples;
    evaluations_.push_back(
        std::make_unique<Plan>(compile(request, simulated_registry(), *device_, state_.layout)));
    Plan& plan = *evaluations_.back();
    executor_.attach(plan, request.image);
    return executor_.evaluate(plan, batch_.fill({0, samples})).loss;
  }

  // The plan of the first step's first shard: the others come in the middle of steps.
  void prepare_first_plan() {
    plan(std::max<int64_t>(shard(training_.step_samples[0], 0).size(), 1));
  }

 private:
  static Setting::Table momentum() { return {{"momentum", {}, {0.9, {}}}}; }

  Slice shard(int64_t samples, int64_t k) const {
    return part_of({0, samples}, rank_ * training_.shards + k, training_.ranks * training_.shards);
  }

  ParameterLayout make_layout() {
    PlanRequest in_float = request_;
    in_float.precision = DType::f32;
    return layout_parameters(transform_graph(in_float, simulated_registry().ops(),
                                             [this](std::string_view op, const Attributes& a) {
                                               return device_->supports(op, a, DType::f32);
                                             }));
  }

  Plan& plan(int64_t batch_size) {
    auto& plan = plans_[batch_size];
    if (plan == nullptr) {
      request_.batch_size = batch_size;
      plan =
          std::make_unique<Plan>(compile(request_, simulated_registry(), *device_, state_.layout));
      executor_.attach(*plan, request_.image);
    }
    return *plan;
  }

  const SimulatedTraining& training_;
  int rank_;
  PlanRequest request_;
  HostSamples samples_ = HostSamples::make(16, {4, 4, 4}, 4);
  std::unique_ptr<Device> device_;
  CommunicationThread communication_;
  std::map<int64_t, std::unique_ptr<Plan>> plans_;
  std::vector<std::unique_ptr<Plan>> evaluations_;
  State state_;
  Executor executor_;
  BatchMemory batch_;
};

}  // namespace detail

// Trains on every rank; `make_device` gives each rank its own. Device and results by rank.
inline std::vector<RankResult> train_on_reference(const SimulatedTraining& training) {
  SimulatedRanks ranks(training.ranks);
  std::vector<RankResult> results(static_cast<size_t>(training.ranks));
  const DeviceEntry& reference = detail::simulated_registry().find_device("reference");
  ranks.run([&](int rank) {
    detail::SimulatedRank self(training, ranks, rank, reference.make({}));
    results[static_cast<size_t>(rank)] = self.train();
  });
  return results;
}

// The same on simulated devices; rank 0's ignores a call, if told to.
inline std::vector<RankResult> train_simulated(const SimulatedTraining& training, uint64_t seed,
                                               SimulatedReport* report = nullptr,
                                               std::optional<OrderCall> ignored = {}) {
  SimulatedRanks ranks(training.ranks);
  std::vector<RankResult> results(static_cast<size_t>(training.ranks));
  std::vector<std::vector<std::string>> violations(static_cast<size_t>(training.ranks));
  const DeviceEntry& reference = detail::simulated_registry().find_device("reference");
  ranks.run([&](int rank) {
    SimulatedOptions options{.seed = seed * static_cast<uint64_t>(training.ranks) +
                                     static_cast<uint64_t>(rank)};
    if (rank == 0) options.ignored = ignored;
    auto device = std::make_unique<SimulatedDevice>(reference.make({}), options);
    SimulatedDevice& simulated = *device;
    detail::SimulatedRank self(training, ranks, rank, std::move(device));
    self.prepare_first_plan();
    simulated.begin_numbering();
    results[static_cast<size_t>(rank)] = self.train();
    if (rank == 0 && report != nullptr) {
      report->calls = simulated.numbered_calls();
      report->replays = simulated.replays();
    }
    violations[static_cast<size_t>(rank)] = simulated.violations();
  });
  if (report != nullptr) {
    for (const auto& of_rank : violations) {
      report->violations.insert(report->violations.end(), of_rank.begin(), of_rank.end());
    }
  }
  return results;
}

}  // namespace lockstep::testing
