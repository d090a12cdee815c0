#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "weights/formats.hpp"

namespace lockstep {
namespace {

void take_tensors(TensorMap& from, Weights& to) {
  for (auto& [name, tensor] : from) {
    const auto values = std::make_shared<const std::vector<float>>(std::move(tensor.values));
    StoredTensor& stored = to.tensors[name];
    stored.shape = tensor.shape;
    stored.strides.assign(static_cast<size_t>(tensor.shape.rank()), 1);
    for (int axis = tensor.shape.rank() - 1; axis > 0; --axis) {
      const auto at = static_cast<size_t>(axis);
      stored.strides[at - 1] = stored.strides[at] * tensor.shape[axis];
    }
    stored.data = reinterpret_cast<const std::byte*>(values->data());
    stored.keep_alive = values;
  }
}

Weights read_checkpoint(const std::filesystem::path& path) {
  Checkpoint checkpoint = load_checkpoint(path);
  Weights weights;
  take_tensors(checkpoint.parameters, weights);
  take_tensors(checkpoint.buffers, weights);
  weights.classes = std::move(checkpoint.classes);
  weights.recipe = std::move(checkpoint.recipe);
  return weights;
}

}  // namespace

Weights read_weights(const std::filesystem::path& path) {
  const FileBytes file = map_file(path);
  Weights weights;
  if (file.bytes.starts_with("LOCKSTEP")) {
    weights = read_checkpoint(path);
  } else {
    try {
      weights = read_weights_in(file);
    } catch (Error& error) {
      error.add_context(path.string());
      throw;
    }
  }
  weights.origin = path.string();
  return weights;
}

}  // namespace lockstep
