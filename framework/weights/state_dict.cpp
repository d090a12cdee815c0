// From a pickled object to named tensors.
#include <algorithm>

#include "base/error.hpp"
#include "base/text.hpp"
#include "weights/formats.hpp"

namespace lockstep {
namespace {

// Under these keys training scripts save a state dict beside their own state.
constexpr std::string_view kNested[] = {"state_dict", "model_state_dict", "model", "net"};

// Copies of one element that a tensor may have beyond its storage's elements.
constexpr int64_t kMostRepeated = int64_t{1} << 24;

const Pickle::Dict& find_state_dict(const Pickle& pickle) {
  const auto* dict = std::get_if<Pickle::Dict>(&pickle.root());
  if (dict == nullptr) {
    fail(Failure::checkpoint, "the file holds ", Pickle::kind(pickle.root()),
         "; expected a state dict; save it with torch.save(model.state_dict(), …)");
  }
  // Each level is another key of another dictionary; a dictionary inside itself ends after these.
  for (size_t level = 0; level < std::size(kNested); ++level) {
    const Pickle::Dict* inner = nullptr;
    for (std::string_view key : kNested) {
      const Pickle::Object* value = inner == nullptr ? pickle.find(*dict, key) : nullptr;
      if (value != nullptr) inner = std::get_if<Pickle::Dict>(value);
    }
    if (inner == nullptr) break;
    dict = inner;
  }
  return *dict;
}

[[noreturn]] void refuse_without_tensors(const Pickle& pickle, const Pickle::Dict& dict) {
  std::vector<std::string> found;
  for (const auto& [key, value] : dict.items) {
    const auto* text = std::get_if<Pickle::Text>(&pickle[key]);
    if (found.size() == 5) break;
    found.push_back(concat(text == nullptr ? Pickle::kind(pickle[key]) : shown(text->text), " (",
                           Pickle::kind(pickle[value]), ")"));
  }
  fail(Failure::checkpoint, "the file's dictionary holds no tensors but ",
       found.empty() ? "nothing" : list_words(found, " and "),
       dict.items.size() > 5 ? " and more" : "",
       "; expected a state dict; save it with torch.save(model.state_dict(), …)");
}

}  // namespace

StoredTensor place_tensor(DType dtype, const Shape& shape, std::vector<int64_t> strides,
                          int64_t offset, int64_t elements, const FileBytes& bytes) {
  const int64_t count = shape.numel();
  int64_t last = count == 0 ? 0 : offset;
  bool fits = true;
  for (int axis = 0; count > 0 && axis < shape.rank(); ++axis) {
    int64_t reach = 0;
    fits = fits &&
           !__builtin_mul_overflow(shape[axis] - 1, strides[static_cast<size_t>(axis)], &reach) &&
           !__builtin_add_overflow(last, reach, &last);
  }
  if (!fits || (count > 0 && last >= elements)) {
    fail(Failure::checkpoint, "a tensor of shape ", shape, " at element ", offset,
         " reaches past its storage of ", elements, " elements; the file is damaged");
  }
  if (count > elements && count - elements > kMostRepeated) {
    fail(Failure::checkpoint, "a tensor of shape ", shape, " repeats the elements of a storage of ",
         elements, "; expected at most ", kMostRepeated, " repeated; save it contiguous");
  }
  StoredTensor tensor;
  tensor.dtype = dtype;
  tensor.shape = shape;
  tensor.strides = std::move(strides);
  tensor.data = reinterpret_cast<const std::byte*>(bytes.bytes.data());
  if (count > 0) tensor.data += offset * size_of(dtype);
  tensor.keep_alive = bytes.owner;
  return tensor;
}

void strip_module_prefix(Weights& weights) {
  constexpr std::string_view kPrefix = "module.";
  const bool all = std::ranges::all_of(weights.tensors, [&](const auto& item) {
    return item.first.starts_with(kPrefix) && item.first.size() > kPrefix.size();
  });
  if (!all) return;
  std::map<std::string, StoredTensor, std::less<>> renamed;
  for (auto& [name, tensor] : weights.tensors) {
    renamed.emplace(name.substr(kPrefix.size()), std::move(tensor));
  }
  weights.tensors = std::move(renamed);
}

Weights weights_of_pickle(const Pickle& pickle,
                          const std::function<FileBytes(const PickledStorage&)>& storage) {
  const Pickle::Dict& dict = find_state_dict(pickle);
  Weights weights;
  for (const auto& [key, value] : dict.items) {
    const auto* number = std::get_if<Pickle::TensorNumber>(&pickle[value]);
    const auto* name = std::get_if<Pickle::Text>(&pickle[key]);
    if (number == nullptr) {
      weights.others.push_back(name == nullptr ? std::string(Pickle::kind(pickle[key]))
                                               : shown(name->text));
      continue;
    }
    if (name == nullptr) {
      fail(Failure::checkpoint, "a tensor's name is ", Pickle::kind(pickle[key]),
           "; expected a text; save it with torch.save(model.state_dict(), …)");
    }
    const PickledTensor& tensor = pickle.tensors[number->number];
    const PickledStorage& pickled = pickle.storages[tensor.storage];
    try {
      FileBytes bytes = storage(pickled);
      bytes.bytes =
          bytes.bytes.substr(static_cast<size_t>(pickled.view_offset * size_of(pickled.dtype)));
      weights.tensors[std::string(name->text)] = place_tensor(
          pickled.dtype, tensor.shape, tensor.strides, tensor.offset, pickled.view_elements, bytes);
    } catch (Error& error) {
      error.add_context(shown(name->text));
      throw;
    }
  }
  if (weights.tensors.empty()) refuse_without_tensors(pickle, dict);
  strip_module_prefix(weights);
  return weights;
}

}  // namespace lockstep
