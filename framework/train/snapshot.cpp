#include "train/snapshot.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lockstep {
namespace {

template <class Slot>
TensorMap read_tensors(const State& state, const DeviceMemory& arena,
                       const std::vector<Slot>& slots) {
  TensorMap tensors;
  for (const Slot& slot : slots) {
    tensors[slot.name] = {slot.shape, state.read(arena, slot.offset, slot.count)};
  }
  return tensors;
}

// What does not fit between the tensors of a state and those of a checkpoint, for one message.
class Differences {
 public:
  template <class Slot>
  void compare(std::string_view kind, const std::vector<Slot>& slots, const TensorMap& tensors) {
    for (const Slot& slot : slots) {
      const auto found = tensors.find(slot.name);
      if (found == tensors.end()) {
        add(concat(kind, " '", slot.name, "' is missing"));
      } else if (found->second.shape != slot.shape) {
        add(concat(kind, " '", slot.name, "' has the shape ", found->second.shape, " instead of ",
                   slot.shape));
      }
    }
    for (const auto& [name, tensor] : tensors) {
      const auto has_name = [&name = name](const Slot& slot) { return slot.name == name; };
      if (std::none_of(slots.begin(), slots.end(), has_name)) {
        add(concat(kind, " '", name, "' is not in the model"));
      }
    }
  }

  void throw_if_any(std::string_view where) const {
    if (count_ == 0) return;
    fail(Failure::checkpoint, where, ": does not fit the model: ", list_words(first_, " and "),
         count_ > static_cast<int64_t>(first_.size()) ? concat(", ", count_, " differences in all")
                                                      : "",
         "; expected a checkpoint of the same model; check [model] and the number of classes");
  }

 private:
  void add(std::string text) {
    if (first_.size() < 3) first_.push_back(std::move(text));
    ++count_;
  }
  std::vector<std::string> first_;
  int64_t count_ = 0;
};

template <class Slot>
void write_tensors(State& state, DeviceMemory& arena, const std::vector<Slot>& slots,
                   const TensorMap& tensors) {
  for (const Slot& slot : slots)
    state.write(arena, slot.offset, tensors.find(slot.name)->second.values);
}

// A checkpoint without this slot has no tensors in it.
const TensorMap& slot_tensors(const Checkpoint& checkpoint, const std::string& name) {
  static const TensorMap kNone;
  const auto found = checkpoint.optimizer.find(name);
  return found == checkpoint.optimizer.end() ? kNone : found->second;
}

// Frozen parameters have no slots worth keeping.
std::vector<ParameterSlot> trainable(const ParameterLayout& layout) {
  std::vector<ParameterSlot> slots = layout.parameters;
  std::erase_if(slots, [](const ParameterSlot& slot) { return !slot.trainable; });
  return slots;
}

}  // namespace

Checkpoint take_snapshot(const State& state, const std::vector<std::string>& slot_names) {
  Checkpoint checkpoint;
  checkpoint.parameters = read_tensors(state, state.parameters, state.layout.parameters);
  checkpoint.buffers = read_tensors(state, state.buffers, state.layout.buffers);
  for (size_t k = 0; k < slot_names.size(); ++k) {
    checkpoint.optimizer[slot_names[k]] =
        read_tensors(state, state.slots[k], trainable(state.layout));
  }
  return checkpoint;
}

void restore_snapshot(State& state, const Checkpoint& checkpoint,
                      const std::vector<std::string>& slot_names, std::string_view where) {
  const std::vector<ParameterSlot> with_state = trainable(state.layout);
  Differences differences;
  differences.compare("parameter", state.layout.parameters, checkpoint.parameters);
  differences.compare("buffer", state.layout.buffers, checkpoint.buffers);
  for (const std::string& name : slot_names) {
    differences.compare(concat("optimizer slot ", name, " of"), with_state,
                        slot_tensors(checkpoint, name));
  }
  differences.throw_if_any(where);
  if (const std::string lost = find_not_finite(checkpoint); !lost.empty()) {
    fail(Failure::checkpoint, where, ": ", lost,
         " is not finite: the training had diverged; expected numbers; take an earlier checkpoint");
  }

  write_tensors(state, state.parameters, state.layout.parameters, checkpoint.parameters);
  write_tensors(state, state.buffers, state.layout.buffers, checkpoint.buffers);
  for (size_t k = 0; k < slot_names.size(); ++k) {
    write_tensors(state, state.slots[k], with_state, slot_tensors(checkpoint, slot_names[k]));
  }
}

void broadcast_state(State& state, CommunicationThread& communication) {
  if (communication.world_size() == 1) return;
  state.device.synchronize(state.device.compute_stream());  // zeros, values of before
  const auto broadcast = [&](DeviceMemory& arena, std::string_view label) {
    if (arena.bytes() == 0) return;
    communication.wait(
        communication.post_broadcast(arena.data(), arena.bytes(), 0, Memory::device, label));
  };
  broadcast(state.parameters, "parameters at the start");
  broadcast(state.buffers, "running statistics at the start");
  for (DeviceMemory& slot : state.slots) broadcast(slot, "optimizer state at the start");
  state.changed();
}

int64_t checkpoint_bytes(const ParameterLayout& layout, int slots) {
  constexpr int64_t kPerTensor = 1024;  // headers of HDF5 and alignment, generously
  constexpr int64_t kRest = 64 << 10;
  int64_t elements = 0;
  int64_t tensors = 0;
  for (const ParameterSlot& slot : layout.parameters) {
    const int64_t copies = 1 + (slot.trainable ? slots : 0);
    elements += copies * slot.count;
    tensors += copies;
  }
  for (const BufferSlot& slot : layout.buffers) elements += slot.count, ++tensors;
  return elements * size_of(DType::f32) + tensors * kPerTensor + kRest;
}

}  // namespace lockstep
