#include "runtime/bound_plan.hpp"

namespace lockstep {
namespace {

// Whether the memory was too small and has moved.
bool grow(Device& device, DeviceMemory& memory, int64_t bytes) {
  if (memory.data() != nullptr && memory.bytes() >= bytes) return false;
  memory = DeviceMemory();  // first free, then allocate: both need not fit
  memory = DeviceMemory(device, bytes);
  return true;
}

}  // namespace

BoundArenas::BoundArenas(Device& device, State& state, HostWait& wait)
    : device_(device),
      state_(state),
      wait_(wait),
      batch_free_(device.create_event()),
      uploaded_(device.create_event()) {}

BoundArenas::~BoundArenas() {
  device_.destroy_event(batch_free_);
  device_.destroy_event(uploaded_);
}

void BoundArenas::attach(const Plan& plan, const Shape& image) {
  image_ = image;
  wait_.for_launches("making room for a plan");  // those of other plans may use the arenas
  bool moved = grow(device_, activations_, plan.memory.peak_bytes);
  moved |= grow(device_, workspace_, plan.workspace_bytes);
  if (grow(device_, batch_, batch_layout(plan.batch_size, image).bytes)) {
    moved = true;
    batch_in_use_ = true;  // the compute stream fills it with zeros
  }
  BoundPlan& added = bound_[&plan];
  grow(device_, added.constants, plan.constant_bytes);
  bind(plan, added);
  if (!moved) return;
  for (auto& [attached, bound] : bound_) bind(*attached, bound);
}

void BoundArenas::bind(const Plan& plan, BoundPlan& bound) const {
  bound.launches.clear();
  bound.segments = cut_into_segments(plan);
  for (const Launch& launch : plan.launches) {
    BoundLaunch& b = bound.launches.emplace_back();
    for (const Address& address : launch.inputs) b.inputs.push_back(resolve(address));
    for (const Address& address : launch.outputs) b.outputs.push_back(resolve(address));
    b.constants = bound.constants.data() + launch.constants;
  }
}

void BoundArenas::update_constants(const Plan& plan) {
  BoundPlan& bound = bound_.at(&plan);
  if (plan.constant_bytes == 0 || bound.state_version == state_.version) return;
  for (size_t i = 0; i < bound.launches.size(); ++i) {
    Kernel* const kernel = plan.launches[i].kernel.get();
    if (kernel == nullptr || kernel->constant_bytes() == 0) continue;
    const BoundLaunch& b = bound.launches[i];
    kernel->update_constants(
        {b.inputs, b.outputs, workspace(), device_.compute_stream(), b.constants});
  }
  bound.state_version = state_.version;
}

std::byte* BoundArenas::resolve(const Address& address) const {
  const DeviceMemory* const arenas[] = {
      &state_.parameters, &state_.gradients, &state_.buffers, &batch_, &state_.step, &activations_};
  return arenas[static_cast<int>(address.arena)]->data() + address.offset;
}

bool BoundArenas::upload(const Plan& plan, const Batch& batch) {
  LS_ASSERT(batch.samples <= plan.batch_size && plan.batch_size <= batch.capacity);
  const BatchLayout layout = batch_layout(plan.batch_size, image_);
  const int64_t n = plan.batch_size;
  Stream* const stream = device_.copy_stream();
  if (batch_in_use_) {
    device_.record(batch_free_, device_.compute_stream());
    device_.wait(stream, batch_free_);
  }
  batch_in_use_ = true;
  const auto copy = [&](int64_t offset, const void* host, int64_t bytes) {
    device_.copy_to_device(batch_.data() + offset, host, bytes, stream);
  };
  copy(layout.images, batch.images, n * image_.numel());
  copy(layout.labels, batch.labels, n * size_of(DType::i32));
  copy(layout.weights, batch.weights, n * size_of(DType::f32));
  copy(layout.indices, batch.indices, n * size_of(DType::i64));
  device_.record(uploaded_, stream);
  device_.wait(device_.compute_stream(), uploaded_);
  return device_.finished(uploaded_);
}

void BoundArenas::wait_for_upload() { wait_.for_event(uploaded_, "upload of a batch"); }

}  // namespace lockstep
