#include <cmath>
#include <map>

#include "ops/attributes.hpp"
#include "plan/plan.hpp"
#include "runtime/executor.hpp"
#include "selftest/checks.hpp"
#include "selftest/compare.hpp"
#include "selftest/golden_values.hpp"
#include "train/session.hpp"

namespace lockstep {
namespace {

constexpr int64_t kClasses = 10;
constexpr int64_t kSteps = 2;
constexpr int64_t kRecordedSteps = 4;  // launched, recorded, replayed twice
constexpr int64_t kBatch = 4;
// Pixels with which the last stage still has four, of which batch norm takes its moments.
constexpr int64_t kSmallSide = 40;
// Where batch norms put their channels: far from zero, so that rounding changes hardly any sign at
// a ReLU. Every one that it does change changes all gradients before it.
constexpr float kNormBias = 2;
// Relative. In half precision some four times what rounding to the type alone does to a training:
// 3e-3 of the losses and 6e-2 of the update in bf16, 9e-4 and 2e-2 in f16.
struct Precision {
  DType dtype;
  double loss_tolerance;
  double update_tolerance;
  double loss_scale;
};
constexpr Precision kPrecisions[] = {
    {DType::f32, 1e-5, 1e-4, 0}, {DType::bf16, 2e-2, 2.5e-1, 0}, {DType::f16, 5e-3, 1e-1, 1024}};

// Noise whose brightness depends on the class.
struct Samples {
  Samples(int64_t count, const Shape& image)
      : images(static_cast<size_t>(count * image.numel())),
        weights(static_cast<size_t>(count), 1.0f) {
    for (int64_t i = 0; i < count; ++i) {
      labels.push_back(static_cast<int32_t>(i % kClasses));
      indices.push_back(i);
    }
    for (size_t i = 0; i < images.size(); ++i) {
      const auto label = static_cast<uint32_t>(labels[i / static_cast<size_t>(image.numel())]);
      images[i] = static_cast<uint8_t>(golden_hash("selftest", i) % 128 + label * 12);
    }
  }
  Batch batch() {
    const auto count = static_cast<int64_t>(labels.size());
    return {.samples = count,
            .capacity = count,
            .images = images.data(),
            .labels = labels.data(),
            .weights = weights.data(),
            .indices = indices.data()};
  }

  std::vector<uint8_t> images;
  std::vector<int32_t> labels;
  std::vector<float> weights;
  std::vector<int64_t> indices;
};

PlanRequest resnet18(Registry& registry, int64_t batch_size, int64_t side) {
  PlanRequest request;
  request.batch_size = batch_size;
  request.image = {3, side, side};
  request.mean = {0.5, 0.5, 0.5};
  request.std = {0.25, 0.25, 0.25};
  const ModelEntry& entry = registry.find_model("resnet");
  const Setting::Table options{{"depth", {}, {int64_t{18}, {}}}};
  request.model = [&entry, options](Scope scope, Value image) {
    return entry.make(std::move(scope), image, kClasses, options);
  };
  return request;
}

// The biases of batch norms become kNormBias or -kNormBias.
void settle_norms(State& state) {
  for (const ParameterSlot& slot : state.layout.parameters) {
    const std::string module = slot.name.substr(0, slot.name.rfind('.'));
    if (!slot.name.ends_with(".bias")) continue;
    if (state.layout.find_buffer(module + ".running_mean") == nullptr) continue;
    std::vector<float> biases(static_cast<size_t>(slot.count));
    for (size_t i = 0; i < biases.size(); ++i) {
      biases[i] = golden_value(slot.name, i) < 0 ? -kNormBias : kNormBias;
    }
    state.write(state.parameters, slot.offset, biases);
  }
}

// What a short training gives.
struct Outcome {
  std::vector<double> losses;
  std::vector<float> before;  // all parameters, by name
  std::vector<float> after;
};

// In the arena they lie as the device's plan has them.
std::vector<float> read_parameters(const State& state) {
  std::map<std::string, const ParameterSlot*> by_name;
  for (const ParameterSlot& slot : state.layout.parameters) by_name[slot.name] = &slot;
  std::vector<float> all;
  for (const auto& [name, slot] : by_name) {
    const std::vector<float> values = state.read(state.parameters, slot->offset, slot->count);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// A training of this rank alone.
Outcome train_alone(Registry& registry, Device& device, const PlanRequest& request,
                    double loss_scale, int64_t steps, bool record) {
  CommunicationThread alone([&] { return registry.find_communicator("local").make({}); }, 600);
  alone.attach(device);
  State state(device, parameter_layout(request, Mode::training, registry, device), 1, 1, true);
  state.initialize({.seed = 1});
  settle_norms(state);
  Plan plan = compile(request, registry, device, state.layout);
  Executor executor(device, state, alone, {.record = record});
  executor.attach(plan, request.image);
  const OptimizerEntry& sgd = registry.find_optimizer("sgd");
  executor.prepare_update({.optimizer_name = sgd.name,
                           .optimizer_plugin = sgd.plugin,
                           .groups = {{sgd.make({}), 1}},
                           .segments = {{0, state.layout.trainable_elements, 0}}});
  Samples samples(request.batch_size, request.image);
  Outcome outcome;
  outcome.before = read_parameters(state);
  for (int64_t step = 1; step <= steps; ++step) {
    const MetricSums sums = executor.train_step(
        {.update = {.lr = 0.01f, .step = step},
         .step = step,
         .global_samples = request.batch_size,
         .loss_scale = loss_scale},
        [&](int64_t) {
          return Executor::Shard{&plan, samples.batch()};
        },
        [](const Batch&) {});
    outcome.losses.push_back(sums.loss / sums.weight);
  }
  outcome.after = read_parameters(state);
  return outcome;
}

Tensor losses_of(const Outcome& outcome) {
  Tensor tensor(DType::f64, {static_cast<int64_t>(outcome.losses.size())});
  std::copy(outcome.losses.begin(), outcome.losses.end(), tensor.values<double>().begin());
  return tensor;
}

// How far every parameter moved.
Tensor moves_of(const Outcome& outcome) {
  Tensor tensor(DType::f32, {static_cast<int64_t>(outcome.after.size())});
  for (size_t i = 0; i < outcome.after.size(); ++i)
    tensor.values()[i] = outcome.after[i] - outcome.before[i];
  return tensor;
}

class TrainingCheck {
 public:
  TrainingCheck(const SelftestSubject& subject, SelftestReport& report)
      : subject_(subject), report_(report) {}

  void run(const Precision& precision) {
    dtype_ = precision.dtype;
    if (!subject_.device.supports("conv2d", Attributes::of(Conv2dAttributes{}), dtype_)) return;
    const bool small = subject_.quick || is_half(dtype_);
    PlanRequest request = resnet18(subject_.registry, kBatch, small ? kSmallSide : 64);
    request.precision = dtype_;
    const auto train = [&](Device& device) {
      return train_alone(subject_.registry, device, request, precision.loss_scale, kSteps, false);
    };
    compare(
        {.losses = "resnet18, losses of two steps",
         .update = "resnet18, update of two steps",
         .loss_tolerance = precision.loss_tolerance,
         .update_tolerance = precision.update_tolerance},
        [&] { return train(subject_.device); }, [&] { return train(subject_.reference); });
  }

  // The device with itself: steps whose launches are replayed must give the same bits.
  void run_recorded() {
    if (!subject_.device.can_record()) {
      report_.rows.push_back({.name = "recorded launches",
                              .dtype = "f32",
                              .outcome = CheckRow::Outcome::not_supported,
                              .note = "this device does not record"});
      return;
    }
    dtype_ = DType::f32;
    const PlanRequest request = resnet18(subject_.registry, kBatch, kSmallSide);
    const auto train = [&](bool record) {
      return train_alone(subject_.registry, subject_.device, request, 0, kRecordedSteps, record);
    };
    compare(
        {.losses = "recorded launches, losses", .update = "recorded launches, update"},
        [&] { return train(true); }, [&] { return train(false); });
  }

 private:
  struct Comparison {
    std::string losses, update;  // what the rows are called
    double loss_tolerance = 0;
    double update_tolerance = 0;
  };
  // Two rows, also where a training raises an error: all ranks have the same ones.
  template <class Found, class Expected>
  void compare(const Comparison& what, Found train_found, Expected train_expected) {
    try {
      const Outcome expected = train_expected(), found = train_found();
      add_row(what.losses, losses_of(found), losses_of(expected), what.loss_tolerance);
      add_row(what.update, moves_of(found), moves_of(expected), what.update_tolerance);
    } catch (const Error& error) {
      for (const std::string& name : {what.losses, what.update}) {
        report_.rows.push_back({.name = name,
                                .dtype = std::string(lockstep::name(dtype_)),
                                .outcome = CheckRow::Outcome::fail,
                                .note = "raised an error"});
      }
      report_.failures.push_back(
          concat(what.losses, ": ", lockstep::name(dtype_), ": ", error.what()));
    }
  }

  void add_row(const std::string& check, const Tensor& found, const Tensor& expected,
               double tolerance) {
    CheckRow row{.name = check, .dtype = std::string(name(dtype_)), .note = {}};
    const Difference difference = lockstep::compare(found, expected);
    row.add(difference.error, tolerance);
    if (difference.error > tolerance)
      report_.failures.push_back(concat(check, ": ", row.dtype, ", ", difference.text()));
    report_.rows.push_back(std::move(row));
  }

  const SelftestSubject& subject_;
  SelftestReport& report_;
  DType dtype_ = DType::f32;
};

}  // namespace

void check_training(const SelftestSubject& subject, SelftestReport& report) {
  TrainingCheck check(subject, report);
  if (subject.wants("resnet18")) {
    for (const Precision& precision : kPrecisions) check.run(precision);
  }
  if (subject.wants("recorded launches")) check.run_recorded();
}

}  // namespace lockstep
