// The smallest thing that trains: a model, a device and an executor, without files or ranks.
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "plugin/registry.hpp"
#include "runtime/executor.hpp"
#include "support/small_graphs.hpp"

namespace lockstep::testing {

// Samples in host memory; slices of them are batches.
struct HostSamples {
  Shape image;
  std::vector<uint8_t> images;
  std::vector<int32_t> labels;
  std::vector<float> weights;
  std::vector<int64_t> indices;

  // `count` pictures of noise whose brightness depends on the class.
  static HostSamples make(int64_t count, Shape image, int64_t classes) {
    HostSamples samples{image, {}, {}, {}, {}};
    RandomStream random(7, "samples");
    for (int64_t i = 0; i < count; ++i) {
      const auto label = static_cast<int32_t>(i % classes);
      for (int64_t p = 0; p < image.numel(); ++p) {
        samples.images.push_back(
            static_cast<uint8_t>(random.below(128) + static_cast<uint64_t>(label) * 30));
      }
      samples.labels.push_back(label);
      samples.weights.push_back(1);
      samples.indices.push_back(i);
    }
    return samples;
  }

  Batch slice(Slice slice) {
    const auto at = static_cast<size_t>(slice.begin);
    return {.samples = slice.size(),
            .capacity = slice.size(),
            .images = images.data() + at * static_cast<size_t>(image.numel()),
            .labels = labels.data() + at,
            .weights = weights.data() + at,
            .indices = indices.data() + at};
  }
};

class TrainingRig {
 public:
  TrainingRig(std::string device, PlanRequest request, int64_t shards = 1, double clip = 0,
              const Setting::Table& sgd = {})
      : request_(std::move(request)),
        shards_(shards),
        communication_([this] { return registry.find_communicator("local").make({}); }, 60),
        device_(registry.find_device(device).make({})),
        state(*device_, make_layout(), 1, shards, true),
        executor_(*device_, state, communication_) {
    state.initialize({.seed = 3});
    UpdatePlan update{.optimizer_name = "sgd",
                      .groups = {{registry.find_optimizer("sgd").make(sgd), 1.0f}},
                      .segments = {},
                      .clip_grad_norm = clip};
    update.segments.push_back({0, state.layout.trainable_elements, 0});
    executor_.prepare_update(update);
  }

  Plan& plan(int64_t batch_size, Mode mode = Mode::training) {
    auto& plan = plans_[{mode, batch_size}];
    if (plan == nullptr) {
      request_.mode = mode;
      request_.batch_size = batch_size;
      plan = std::make_unique<Plan>(compile(request_, registry, *device_, state.layout));
      executor_.attach(*plan, request_.image);
    }
    return *plan;
  }

  // One step over samples [0, count); returns the mean loss.
  double step(HostSamples& samples, int64_t count, float lr) {
    Executor::StepContext context;
    context.update = {.lr = lr, .step = ++steps_};
    context.step = steps_;
    context.global_samples = count;
    context.shards = shards_;
    context.loss_scale = loss_scale;
    const MetricSums sums = executor_.train_step(
        context,
        [&](int64_t k) {
          const Batch batch = samples.slice(part_of({0, count}, k, shards_));
          return Executor::Shard{&plan(std::max<int64_t>(batch.samples, 1)), batch};
        },
        [](const Batch&) {});
    return sums.loss / sums.weight;
  }

  // (count, classes), of samples [0, count), with the running statistics.
  std::vector<float> logits(HostSamples& samples, int64_t count) {
    Plan& evaluation = plan(count, Mode::evaluation);
    executor_.evaluate(evaluation, samples.slice({0, count}));
    return executor_.output(evaluation, Role::logits);
  }

  void set_parameter(std::string_view name, const std::vector<float>& values) {
    state.write(state.parameters, state.layout.find_parameter(name)->offset, values);
  }
  std::vector<float> parameter(std::string_view name) const {
    const ParameterSlot* slot = state.layout.find_parameter(name);
    return state.read(state.parameters, slot->offset, slot->count);
  }
  std::vector<float> gradient(std::string_view name) const {
    const ParameterSlot* slot = state.layout.find_parameter(name);
    return state.read(state.gradients, slot->offset, slot->count);
  }
  std::vector<float> buffer(std::string_view name) const {
    const BufferSlot* slot = state.layout.find_buffer(name);
    return state.read(state.buffers, slot->offset, slot->count);
  }

  Registry registry;
  double loss_scale = 0;  // of the following steps

 private:
  ParameterLayout make_layout() {
    PlanRequest in_float = request_;
    in_float.precision = DType::f32;
    return layout_parameters(transform_graph(
        in_float, registry.ops(), [this](std::string_view op, const Attributes& attributes) {
          return device_->supports(op, attributes, DType::f32);
        }));
  }

  PlanRequest request_;
  int64_t shards_;
  int64_t steps_ = 0;
  CommunicationThread communication_;
  std::unique_ptr<Device> device_;
  std::map<std::pair<Mode, int64_t>, std::unique_ptr<Plan>> plans_;

 public:
  State state;
  Executor executor_;
};

// |a - b| / |b|
inline double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

}  // namespace lockstep::testing
