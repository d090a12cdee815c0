#include "weights/pickle_globals.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace lockstep {
namespace {

struct Known {
  std::string_view module;
  std::string_view name;
  PickleGlobal what;
};
constexpr Known kKnown[] = {
    {"collections", "OrderedDict", PickleGlobal::ordered_dict},
    {"builtins", "set", PickleGlobal::sequence},
    {"__builtin__", "set", PickleGlobal::sequence},
    {"_codecs", "encode", PickleGlobal::bytes},
    {"builtins", "bytearray", PickleGlobal::bytes},
    {"__builtin__", "bytearray", PickleGlobal::bytes},
    {"torch", "Size", PickleGlobal::sequence},
    {"torch", "device", PickleGlobal::nothing},
    {"torch._utils", "_rebuild_tensor", PickleGlobal::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", PickleGlobal::rebuild_tensor},
    {"torch._utils", "_rebuild_parameter", PickleGlobal::parameter},
    {"torch.nn.parameter", "Parameter", PickleGlobal::parameter},
};

struct StorageType {
  std::string_view name;
  DType dtype;
};
constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", DType::f32},     {"DoubleStorage", DType::f64}, {"HalfStorage", DType::f16},
    {"BFloat16Storage", DType::bf16}, {"LongStorage", DType::i64},   {"IntStorage", DType::i32},
    {"ByteStorage", DType::u8},       {"BoolStorage", DType::u8},    {"UntypedStorage", DType::u8},
};

constexpr std::string_view kDTypeNames[] = {"float32", "float64", "float16", "bfloat16", "int64",
                                            "int32",   "int16",   "int8",    "uint8",    "bool"};

int64_t integer(const Pickle& pickle, Pickle::Ref ref, std::string_view what) {
  const auto* value = std::get_if<int64_t>(&pickle[ref]);
  if (value == nullptr || *value < 0) {
    fail(Failure::checkpoint, what, " is ",
         value == nullptr ? std::string(Pickle::kind(pickle[ref])) : std::to_string(*value),
         "; expected an integer of at least 0; the file is damaged");
  }
  return *value;
}

const std::vector<Pickle::Ref>& sequence(const Pickle& pickle, Pickle::Ref ref,
                                         std::string_view what) {
  const auto* value = std::get_if<Pickle::Sequence>(&pickle[ref]);
  if (value == nullptr) {
    fail(Failure::checkpoint, what, " is ", Pickle::kind(pickle[ref]),
         "; expected a tuple; the file is damaged");
  }
  return value->items;
}

void check_count(const Shape& shape) {
  int64_t count = 1;
  for (int64_t extent : shape) {
    if (__builtin_mul_overflow(count, std::max<int64_t>(extent, 1), &count)) {
      fail(Failure::checkpoint, "the tensor's shape is ", shape,
           "; more elements than any file holds; the file is damaged");
    }
  }
}

}  // namespace

std::optional<Pickle::Global> find_pickle_global(std::string_view module, std::string_view name) {
  const auto global = [](PickleGlobal what, DType dtype = DType::f32) {
    return Pickle::Global{static_cast<uint8_t>(what), dtype};
  };
  for (const Known& known : kKnown) {
    if (known.module == module && known.name == name) return global(known.what);
  }
  if (module == "torch" || module == "torch.cuda" || module == "torch.storage") {
    for (const StorageType& type : kStorageTypes) {
      if (type.name == name) return global(PickleGlobal::storage_type, type.dtype);
    }
  }
  if (module == "torch" && std::ranges::find(kDTypeNames, name) != std::end(kDTypeNames)) {
    return global(PickleGlobal::nothing);
  }
  return std::nullopt;
}

PickledTensor rebuild_tensor(const Pickle& pickle, std::span<const Pickle::Ref> arguments) {
  if (arguments.size() < 4) {
    fail(Failure::checkpoint, "a tensor is made from ", arguments.size(),
         " values; expected storage, offset, shape and strides; the file is damaged");
  }
  const auto* storage = std::get_if<Pickle::StorageNumber>(&pickle[arguments[0]]);
  if (storage == nullptr) {
    fail(Failure::checkpoint, "a tensor's storage is ", Pickle::kind(pickle[arguments[0]]),
         "; expected a storage; the file is damaged");
  }
  PickledTensor tensor;
  tensor.storage = storage->number;
  tensor.offset = integer(pickle, arguments[1], "a tensor's offset");
  const auto& extents = sequence(pickle, arguments[2], "a tensor's shape");
  const auto& strides = sequence(pickle, arguments[3], "a tensor's strides");
  if (extents.size() > Shape::kMaxRank || strides.size() != extents.size()) {
    fail(Failure::checkpoint, "a tensor has ", extents.size(), " extents and ", strides.size(),
         " strides; expected as many of both, at most ", Shape::kMaxRank);
  }
  for (Pickle::Ref ref : extents) tensor.shape.append(integer(pickle, ref, "a tensor's extent"));
  for (Pickle::Ref ref : strides) {
    tensor.strides.push_back(integer(pickle, ref, "a tensor's stride"));
  }
  check_count(tensor.shape);
  return tensor;
}

PickledStorage persistent_storage(const Pickle& pickle, const Pickle::Object& id) {
  const auto refuse = [](std::string_view found) {
    fail(Failure::checkpoint, "a persistent id is ", found,
         "; expected ('storage', type, key, location, elements); re-save the file with "
         "torch.save(model.state_dict(), …)");
  };
  const auto* tuple = std::get_if<Pickle::Sequence>(&id);
  if (tuple == nullptr) refuse(Pickle::kind(id));
  const auto& items = tuple->items;
  if (items.size() < 5 || items.size() > 6) refuse(concat("a tuple of ", items.size()));
  const auto* word = std::get_if<Pickle::Text>(&pickle[items[0]]);
  const auto* type = std::get_if<Pickle::Global>(&pickle[items[1]]);
  const auto* key = std::get_if<Pickle::Text>(&pickle[items[2]]);
  if (word == nullptr || word->text != "storage" || key == nullptr || type == nullptr ||
      static_cast<PickleGlobal>(type->what) != PickleGlobal::storage_type) {
    refuse("something else");
  }
  PickledStorage storage;
  storage.key = key->text;
  storage.dtype = type->dtype;
  storage.elements = integer(pickle, items[4], "a storage's number of elements");
  storage.view_elements = storage.elements;
  if (items.size() == 6 && !std::holds_alternative<Pickle::None>(pickle[items[5]])) {
    const auto& view = sequence(pickle, items[5], "a storage's view");
    if (view.size() != 3) refuse("a storage with a malformed view");
    storage.view_offset = integer(pickle, view[1], "a view's offset");
    storage.view_elements = integer(pickle, view[2], "a view's number of elements");
  }
  if (storage.view_offset > storage.elements ||
      storage.view_elements > storage.elements - storage.view_offset) {
    fail(Failure::checkpoint, "a view has elements ", storage.view_offset, " and ",
         storage.view_elements, " more of a storage of ", storage.elements,
         "; expected a part of it; the file is damaged");
  }
  return storage;
}

}  // namespace lockstep
