// See safetensors.cpp for the format.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "weights/write.hpp"

namespace lockstep {
namespace {

std::string_view format_name(DType dtype) {
  constexpr std::string_view kNames[] = {"F32", "F64", "F16", "BF16", "I64", "I32", "U8"};
  return kNames[static_cast<int>(dtype)];
}

template <class T>
std::string_view bytes_of(const T* values, size_t count) {
  return {reinterpret_cast<const char*>(values), count * sizeof(T)};
}

}  // namespace

std::vector<NamedTensor> state_dict(const Checkpoint& checkpoint) {
  constexpr std::string_view kMean = "running_mean";
  std::vector<NamedTensor> tensors;
  for (const TensorMap* map : {&checkpoint.parameters, &checkpoint.buffers}) {
    for (const auto& [name, tensor] : *map) {
      tensors.push_back(
          {name, DType::f32, tensor.shape, bytes_of(tensor.values.data(), tensor.values.size())});
      if (!name.ends_with(kMean)) continue;
      const std::string counter =
          name.substr(0, name.size() - kMean.size()) + "num_batches_tracked";
      tensors.push_back({counter, DType::i64, {}, bytes_of(&checkpoint.progress.step, 1)});
    }
  }
  std::ranges::sort(tensors, {}, &NamedTensor::name);
  return tensors;
}

std::string safetensors_bytes(const std::vector<NamedTensor>& tensors) {
  constexpr size_t kAlignment = 8;
  // Larger elements first, so that each tensor is aligned to its own.
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& tensor : tensors) order.push_back(&tensor);
  std::ranges::stable_sort(order, std::greater<>(),
                           [](const NamedTensor* tensor) { return size_of(tensor->dtype); });
  nlohmann::ordered_json json;
  json["__metadata__"] = {{"format", "pt"}};
  size_t end = 0;
  for (const NamedTensor* tensor : order) {
    const size_t begin = end;
    end += tensor->bytes.size();
    json[tensor->name] = {
        {"dtype", format_name(tensor->dtype)},
        {"shape", std::vector<int64_t>(tensor->shape.begin(), tensor->shape.end())},
        {"data_offsets", {begin, end}}};
  }
  std::string header = json.dump();
  header.resize((header.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');

  std::string file;
  file.reserve(8 + header.size() + end);
  for (size_t i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i));
  file += header;
  for (const NamedTensor* tensor : order) file += tensor->bytes;
  return file;
}

}  // namespace lockstep
