#include "runtime/compression.hpp"

#include "ops/attributes.hpp"

namespace lockstep {

Compression::Compression(Device& device, DType type, int64_t elements)
    : device_(device), type_(type) {
  if (is_on()) memory_ = DeviceMemory(device, elements * size_of(type));
}

void Compression::prepare(const OpRegistry& ops, int64_t count) {
  const TensorType whole{DType::f32, {count}};
  const TensorType half{type_, {count}};
  const auto prepare_cast = [&](const TensorType& from, const TensorType& to) {
    std::unique_ptr<Kernel>& kernel = casts_[{to.dtype, count}];
    if (kernel != nullptr) return;
    const Attributes attributes = Attributes::of(CastAttributes{to.dtype});
    kernel = device_.prepare({"cast",
                              "communicator.compression",
                              attributes,
                              {&from, 1},
                              {&to, 1},
                              ops.at("cast"),
                              Mode::training});
    LS_ASSERT(kernel->workspace_bytes() == 0);
  };
  prepare_cast(whole, half);
  prepare_cast(half, whole);
}

void* Compression::compress(const float* gradients, int64_t offset, int64_t count) {
  cast(type_, count, gradients + offset, place(offset));
  return place(offset);
}

void Compression::widen(float* gradients, int64_t offset, int64_t count) {
  cast(DType::f32, count, place(offset), gradients + offset);
}

void Compression::cast(DType to, int64_t count, const void* from_data, void* to_data) {
  casts_.at({to, count})
      ->launch({{&from_data, 1}, {&to_data, 1}, nullptr, device_.compute_stream()});
}

}  // namespace lockstep
