// Python's pickles, as far as torch.save writes state dicts with them. Nothing is ever called: a
// pickle's wish for a global that is not in a short list is an error that names it.
//
// The format: Lib/pickletools.py of CPython, protocols 2 to 5. Time and memory are bounded by the
// pickle's length and by kMostObjects; nothing recurses, and every object is made once.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/dtype.hpp"
#include "base/shape.hpp"

namespace lockstep {

// A storage as a pickle names it: its elements lie elsewhere in the file.
struct PickledStorage {
  std::string_view key;
  DType dtype = DType::f32;
  int64_t elements = 0;  // of the whole storage
  // The part that tensors may use; all but old files: everything.
  int64_t view_offset = 0;
  int64_t view_elements = 0;
};

// Extents and strides are not negative, as many of one as of the other, and the number of elements
// is no overflow. Whether they fit their storage is for the storage's reader to check.
struct PickledTensor {
  size_t storage = 0;  // number in Pickle::storages
  int64_t offset = 0;  // in elements
  Shape shape;
  std::vector<int64_t> strides;
};

// Texts and bytes point into the pickle.
class Pickle {
 public:
  using Ref = uint32_t;  // number of an object

  struct None {};
  struct Text {
    std::string_view text;
  };
  struct Bytes {  // and integers of more than 8 bytes: little-endian, two's complement
    std::string_view bytes;
  };
  struct Sequence {
    enum Kind : uint8_t { tuple, list, set };
    Kind kind;
    std::vector<Ref> items;
  };
  struct Dict {
    std::vector<std::pair<Ref, Ref>> items;  // a key may occur again: the last one counts
  };
  struct StorageNumber {
    size_t number;
  };
  struct TensorNumber {
    size_t number;
  };
  // A global that may be called or named: see pickle_globals.cpp.
  struct Global {
    uint8_t what;
    DType dtype;
  };
  using Object = std::variant<None, bool, int64_t, double, Text, Bytes, Sequence, Dict,
                              StorageNumber, TensorNumber, Global>;

  static constexpr size_t kMostObjects = size_t{1} << 20;

  const Object& root() const { return objects[root_number]; }
  const Object& operator[](Ref ref) const { return objects[ref]; }
  // The value of a text key; null if there is none.
  const Object* find(const Dict& dict, std::string_view key) const;
  // "a dictionary", for messages.
  static std::string_view kind(const Object& object);

  std::deque<Object> objects;
  std::vector<PickledStorage> storages;
  std::vector<PickledTensor> tensors;
  Ref root_number = 0;
  size_t length = 0;  // bytes of the pickle
};

// Reads the pickle that begins `bytes`; more may follow it. `what` names it in messages
// ("data.pkl"). Throws Error{checkpoint}: "WHAT, byte N: found; expected; repair".
Pickle read_pickle(std::string_view bytes, std::string_view what);

}  // namespace lockstep
