// Gradients on their way between ranks in a type of fewer bytes: rounded into memory of their own,
// summed there by the communicator, and widened back. Communicators know nothing of it.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "graph/op.hpp"
#include "plan/state.hpp"

namespace lockstep {

class Compression {
 public:
  // For gradients of this many elements; f32: off.
  Compression(Device& device, DType type, int64_t elements);

  bool is_on() const { return type_ != DType::f32; }
  DType type() const { return type_; }

  // For slices of `count` elements. Throws Error{device} where the device cannot convert.
  void prepare(const OpRegistry& ops, int64_t count);

  // Enqueue the conversion of elements [offset, offset + count) of the arena; `compress` gives what
  // is to be summed.
  void* compress(const float* gradients, int64_t offset, int64_t count);
  void widen(float* gradients, int64_t offset, int64_t count);

 private:
  void cast(DType to, int64_t count, const void* from_data, void* to_data);
  std::byte* place(int64_t offset) const { return memory_.data() + offset * size_of(type_); }

  Device& device_;
  DType type_;
  DeviceMemory memory_;
  std::map<std::pair<DType, int64_t>, std::unique_ptr<Kernel>> casts_;  // by result and elements
};

}  // namespace lockstep
