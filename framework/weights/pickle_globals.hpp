// What a pickle may name: the few functions and types that state dicts need, as data.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "weights/pickle.hpp"

namespace lockstep {

enum class PickleGlobal : uint8_t {
  ordered_dict,
  sequence,        // set, torch.Size: (container) -> the container
  bytes,           // _codecs.encode, bytearray: their content is of no interest
  nothing,         // torch.device, torch.float32, …: read and forgotten
  rebuild_tensor,  // (storage, offset, shape, strides, …) -> tensor
  parameter,       // (tensor, …) -> the tensor
  storage_type,
};

// Empty: not in the list.
std::optional<Pickle::Global> find_pickle_global(std::string_view module, std::string_view name);

// The tensor of torch._utils._rebuild_tensor and _rebuild_tensor_v2. Throws Error{checkpoint}
// without place.
PickledTensor rebuild_tensor(const Pickle& pickle, std::span<const Pickle::Ref> arguments);

// The storage of a persistent id: ("storage", type, key, location, elements[, view]). Likewise.
PickledStorage persistent_storage(const Pickle& pickle, const Pickle::Object& id);

}  // namespace lockstep
