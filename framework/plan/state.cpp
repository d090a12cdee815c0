#include "plan/state.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/random.hpp"

namespace lockstep {
namespace {

constexpr int64_t kBytes = size_of(DType::f32);

// Products of the extents that feed one output element, and that one input element feeds.
double fan_in(const Shape& shape) { return static_cast<double>(shape.numel() / shape[0]); }
double fan_out(const Shape& shape) { return static_cast<double>(shape.numel() / shape[1]); }

std::vector<float> initial_values(const ParameterSlot& parameter, const InitOptions& options) {
  Init init = parameter.attributes.init;
  if (options.normal && parameter.attributes.kind == ParameterKind::weight)
    init = {Init::normal, options.std};
  if (options.normal && parameter.attributes.kind == ParameterKind::bias) init = Init::zeros();

  RandomStream random(options.seed, "init", hash_name(parameter.name));
  std::vector<float> values(static_cast<size_t>(parameter.count));
  const auto fill_normal = [&](double deviation) {
    random.fill_normal(values, static_cast<float>(deviation));
  };
  switch (init.kind) {
    case Init::constant:
      std::fill(values.begin(), values.end(), static_cast<float>(init.value));
      break;
    case Init::normal:
      fill_normal(init.value);
      break;
    case Init::he_normal_fan_out:
      fill_normal(std::sqrt(2.0 / fan_out(parameter.shape)));
      break;
    case Init::he_normal_fan_in:
      fill_normal(std::sqrt(2.0 / fan_in(parameter.shape)));
      break;
    case Init::uniform_fan_in: {
      const double bound = 1.0 / std::sqrt(init.value > 0 ? init.value : fan_in(parameter.shape));
      for (float& value : values) value = static_cast<float>(random.uniform(-bound, bound));
      break;
    }
  }
  return values;
}

}  // namespace

DeviceMemory::DeviceMemory(Device& device, int64_t bytes)
    : device_(&device),
      data_(static_cast<std::byte*>(device.allocate(std::max<int64_t>(bytes, 64)))),
      bytes_(bytes) {
  device.fill_zero(data_, bytes, device.compute_stream());
}

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) device_->release(data_);
}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

namespace {

// An arena of the state, named in the error where there is no room for it.
DeviceMemory allocate(Device& device, int64_t bytes, const char* name) {
  try {
    return DeviceMemory(device, bytes);
  } catch (OutOfMemory& error) {
    throw error.add_context(concat(name, " of the model"));
  }
}

}  // namespace

int sum_levels(int64_t shards) { return std::bit_width(static_cast<uint64_t>(shards - 1)); }

State::State(Device& dev, ParameterLayout l, int optimizer_slots, int64_t shards, bool training)
    : device(dev),
      layout(std::move(l)),
      parameters(allocate(dev, layout.parameter_elements * kBytes, "the parameters")),
      buffers(allocate(dev, layout.buffer_elements * kBytes, "the buffers")),
      step(dev, sizeof(StepBlock)) {
  if (!training) return;
  gradients = allocate(dev, layout.gradient_elements() * kBytes, "the gradients");
  for (int i = 0; i < optimizer_slots; ++i)
    slots.push_back(allocate(dev, layout.parameter_elements * kBytes, "the optimizer's state"));
  const int levels = sum_levels(shards);
  for (int i = 0; i < levels; ++i)
    shard_sums.push_back(
        allocate(dev, layout.gradient_elements() * kBytes, "the sums over shards"));
}

void State::initialize(const InitOptions& options) {
  for (const ParameterSlot& parameter : layout.parameters) {
    write(parameters, parameter.offset, initial_values(parameter, options));
  }
  for (const BufferSlot& buffer : layout.buffers) {
    const auto initial = static_cast<float>(buffer.attributes.initial);
    write(buffers, buffer.offset, std::vector<float>(static_cast<size_t>(buffer.count), initial));
  }
  for (DeviceMemory& slot : slots)
    device.fill_zero(slot.data(), slot.bytes(), device.compute_stream());
  device.synchronize(device.compute_stream());
}

std::vector<float> State::read(const DeviceMemory& arena, int64_t offset, int64_t count) const {
  LS_ASSERT((offset + count) * kBytes <= arena.bytes());
  std::vector<float> values(static_cast<size_t>(count));
  device.copy_to_host(values.data(), arena.floats() + offset, count * kBytes,
                      device.compute_stream());
  device.synchronize(device.compute_stream());
  return values;
}

void State::write(DeviceMemory& arena, int64_t offset, const std::vector<float>& values) {
  const auto bytes = static_cast<int64_t>(values.size()) * kBytes;
  LS_ASSERT(offset * kBytes + bytes <= arena.bytes());
  changed();
  device.copy_to_device(arena.floats() + offset, values.data(), bytes, device.compute_stream());
  device.synchronize(device.compute_stream());
}

}  // namespace lockstep
