// torch.save's format before PyTorch 1.6, which torchvision's published files still have: pickles
// of a magic number, a version, facts about the machine, the object and its storages' keys, and
// then the storages. See _legacy_save and _legacy_load in torch/serialization.py.
#include <unordered_map>

#include "weights/formats.hpp"

namespace lockstep {

namespace {

// 0x1950a86a20f9469cfc6c, little-endian
constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kVersion = 1001;

void check_machine(const Pickle& facts) {
  const auto* dict = std::get_if<Pickle::Dict>(&facts.root());
  const Pickle::Object* order = dict == nullptr ? nullptr : facts.find(*dict, "little_endian");
  const bool* little = order == nullptr ? nullptr : std::get_if<bool>(order);
  if (little == nullptr || !*little) {
    fail(Failure::checkpoint,
         "machine facts: no little_endian = True; expected little-endian numbers; save the file "
         "again on a little-endian machine");
  }
}

// The bytes of every storage by its key, in the order of the file.
class LegacyStorages {
 public:
  LegacyStorages(const Pickle& object, const Pickle& keys, ByteReader in, FileBytes file) {
    for (const PickledStorage& storage : object.storages) note(storage);
    const auto* list = std::get_if<Pickle::Sequence>(&keys.root());
    if (list == nullptr) {
      fail(Failure::checkpoint, "storage keys: found ", Pickle::kind(keys.root()),
           "; expected a list; the file is damaged");
    }
    for (Pickle::Ref ref : list->items) {
      const auto* key = std::get_if<Pickle::Text>(&keys[ref]);
      const auto root = key == nullptr ? roots_.end() : roots_.find(key->text);
      if (root == roots_.end() || root->second.read) {
        fail(Failure::checkpoint, "storage keys: '", key == nullptr ? "" : shown(key->text),
             "' is no storage of the object, or is there twice; the file is damaged");
      }
      read(root->second, in, file);
    }
  }

  FileBytes operator()(const PickledStorage& storage) const {
    const Root& root = roots_.find(storage.key)->second;
    if (!root.read) {
      fail(Failure::checkpoint, "its storage '", shown(storage.key),
           "' is not among the storage keys; the file is damaged");
    }
    return root.content;
  }

 private:
  struct Root {
    const PickledStorage* storage;
    FileBytes content = {};
    bool read = false;
  };

  void note(const PickledStorage& storage) {
    const auto [at, is_new] = roots_.emplace(storage.key, Root{&storage});
    const PickledStorage& first = *at->second.storage;
    if (!is_new && (first.dtype != storage.dtype || first.elements != storage.elements)) {
      fail(Failure::checkpoint, "storage '", shown(storage.key), "' is described as ",
           first.elements, ' ', name(first.dtype), " and as ", storage.elements, ' ',
           name(storage.dtype), "; the file is damaged");
    }
  }

  static void read(Root& root, ByteReader& in, const FileBytes& file) {
    const uint64_t elements = in.u64();
    if (elements != static_cast<uint64_t>(root.storage->elements)) {
      in.fail_here("storage '", shown(root.storage->key), "' has ", elements,
                   " elements; expected ", root.storage->elements, "; the file is damaged");
    }
    const auto size = static_cast<uint64_t>(size_of(root.storage->dtype));
    if (elements > in.left() / size) {
      in.fail_here("storage '", shown(root.storage->key), "' of ", elements, " elements of ", size,
                   " bytes reaches past the end of the file; it is truncated; download or save it "
                   "again");
    }
    root.content = {in.take(elements * size), file.owner};
    root.read = true;
  }

  std::unordered_map<std::string_view, Root> roots_;
};

}  // namespace

bool is_torch_legacy(std::string_view bytes) {
  constexpr size_t kMostBefore = 16;  // protocol, frame and opcode
  return bytes.starts_with('\x80') &&
         bytes.substr(0, kMostBefore + kMagic.size()).find(kMagic) != std::string_view::npos;
}

Weights read_torch_legacy(const FileBytes& file) {
  size_t at = 0;
  const auto next = [&](std::string_view what) {
    Pickle pickle = read_pickle(file.bytes.substr(at), what);
    at += pickle.length;
    return pickle;
  };
  const Pickle magic = next("magic number");
  const auto* digits = std::get_if<Pickle::Bytes>(&magic.root());
  if (digits == nullptr || digits->bytes != kMagic) {
    fail(Failure::checkpoint, "magic number: ", Pickle::kind(magic.root()),
         "; expected that of torch.save; the file is damaged");
  }
  const Pickle version = next("protocol version");
  const auto* number = std::get_if<int64_t>(&version.root());
  if (number == nullptr || *number != kVersion) {
    fail(Failure::checkpoint, "protocol version: ",
         number == nullptr ? std::string(Pickle::kind(version.root())) : std::to_string(*number),
         "; expected ", kVersion, "; the file is damaged");
  }
  check_machine(next("machine facts"));
  const Pickle object = next("object");
  const Pickle keys = next("storage keys");
  const LegacyStorages storages(object, keys, ByteReader(file.bytes, "storages", at), file);
  return weights_of_pickle(object, std::cref(storages));
}

}  // namespace lockstep
