#include <cmath>

#include "plan/state.hpp"
#include "selftest/checks.hpp"
#include "selftest/compare.hpp"
#include "selftest/golden_values.hpp"

namespace lockstep {
namespace {

constexpr double kTolerance = 1e-6;
constexpr int64_t kElements = 100'000;
// Of odd sizes, one empty, with gaps between them that must stay as they are.
constexpr UpdateSegment kSegments[] = {
    {16, 10, 1}, {64, 0, 0}, {64, 20'000, 0}, {20'480, 70'001, 1}, {90'496, 1, 0}};

Tensor golden_tensor(std::string_view key) {
  Tensor tensor(DType::f32, {kElements});
  for (size_t i = 0; i < tensor.count(); ++i) tensor.values()[i] = golden_value(key, i);
  return tensor;
}

// Arenas on a device, and launches over them.
class Arenas {
 public:
  explicit Arenas(Device& device) : device_(device), step_(device, sizeof(StepInfo)) {}

  size_t add(const Tensor& tensor) {
    memory_.emplace_back(device_, tensor.type().bytes());
    device_.copy_to_device(memory_.back().data(), tensor.data(), tensor.type().bytes(),
                           device_.compute_stream());
    device_.synchronize(device_.compute_stream());
    return memory_.size() - 1;
  }
  void launch(Kernel& kernel, const std::vector<size_t>& in, const std::vector<size_t>& out,
              const StepInfo* step = nullptr) {
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (size_t i : in) inputs.push_back(memory_[i].data());
    for (size_t i : out) outputs.push_back(memory_[i].data());
    if (step != nullptr) {
      device_.copy_to_device(step_.data(), step, sizeof *step, device_.compute_stream());
      inputs.push_back(step_.data());
    }
    const DeviceMemory workspace(device_, kernel.workspace_bytes());
    kernel.launch({inputs, outputs, workspace.data(), device_.compute_stream()});
    device_.synchronize(device_.compute_stream());
  }
  Tensor read(size_t i, DType dtype, const Shape& shape) const {
    Tensor tensor(dtype, shape);
    device_.copy_to_host(tensor.data(), memory_[i].data(), tensor.type().bytes(),
                         device_.compute_stream());
    device_.synchronize(device_.compute_stream());
    return tensor;
  }
  Tensor read(size_t i) const { return read(i, DType::f32, {kElements}); }

 private:
  Device& device_;
  DeviceMemory step_;
  std::vector<DeviceMemory> memory_;
};

// Weights and slots after three steps.
std::vector<Tensor> optimize(Device& device, const OptimizerEntry& entry) {
  const Setting::Table decay{{"weight_decay", {}, {0.01, {}}}};
  const std::shared_ptr<const Optimizer> optimizer = entry.make(decay);
  const UpdateGroup groups[] = {{optimizer, 1}, {optimizer, 0.5f}};
  const auto kernel = device.prepare_update({entry.name, groups, kSegments, entry.plugin});
  Arenas arenas(device);
  std::vector<size_t> outputs{arenas.add(golden_tensor("weights"))};
  for (int k = 0; k < optimizer->slots(); ++k)
    outputs.push_back(arenas.add(Tensor(DType::f32, {kElements})));
  for (int step = 1; step <= 3; ++step) {
    const StepInfo info{.lr = 0.1f, .gradient_scale = 0.5f, .step = step};
    const size_t gradient = arenas.add(golden_tensor(concat("gradient", step)));
    arenas.launch(*kernel, {gradient}, outputs, &info);
  }
  std::vector<Tensor> tensors;
  for (size_t i : outputs) tensors.push_back(arenas.read(i));
  return tensors;
}

Tensor squared_norm(Device& device) {
  Arenas arenas(device);
  const size_t x = arenas.add(golden_tensor("x")), y = arenas.add(Tensor(DType::f64, {1}));
  arenas.launch(*device.prepare_squared_norm(kElements), {x}, {y});
  return arenas.read(y, DType::f64, {1});
}

Tensor accumulate(Device& device, double keep, double add) {
  Arenas arenas(device);
  const size_t a = arenas.add(golden_tensor("a")), b = arenas.add(golden_tensor("b"));
  arenas.launch(*device.prepare_accumulate(kElements, keep, add), {b}, {a});
  return arenas.read(a);
}

// A row: `run` on both devices gives tensors that are to be equal.
template <class Run>
void check(const SelftestSubject& subject, SelftestReport& report, const std::string& name,
           Run run) {
  if (!subject.wants(name)) return;
  CheckRow row{.name = name, .dtype = "f32", .note = {}};
  try {
    const std::vector<Tensor> found = run(subject.device), expected = run(subject.reference);
    for (size_t i = 0; i < expected.size(); ++i) {
      const Difference difference = compare(found[i], expected[i]);
      row.add(difference.error, kTolerance);
      if (difference.error > kTolerance) {
        report.failures.push_back(concat(name, ": f32, array ", i, ", ", difference.text()));
      }
    }
  } catch (const Error& error) {
    row.outcome = CheckRow::Outcome::fail;
    report.failures.push_back(concat(name, ": f32: ", error.what()));
  }
  report.rows.push_back(std::move(row));
}

}  // namespace

void check_arena_kernels(const SelftestSubject& subject, SelftestReport& report) {
  for (const char* optimizer : {"sgd", "lars"}) {
    const OptimizerEntry& entry = subject.registry.find_optimizer(optimizer);
    check(subject, report, concat("optimizer ", optimizer),
          [&](Device& device) { return optimize(device, entry); });
  }
  check(subject, report, "norm of gradients",
        [](Device& device) { return std::vector{squared_norm(device)}; });
  check(subject, report, "sums of arenas", [](Device& device) {
    return std::vector{accumulate(device, 1, 1), accumulate(device, 0.9, 0.1),
                       accumulate(device, 0, 1)};
  });
}

}  // namespace lockstep
