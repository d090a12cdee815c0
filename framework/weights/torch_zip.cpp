// torch.save's format since PyTorch 1.6: a ZIP archive with NAME/data.pkl, the pickled object, and
// NAME/data/KEY, the bytes of each storage. See caffe2/serialize/inline_container.h of PyTorch.
#include <map>

#include "weights/formats.hpp"
#include "weights/zip.hpp"

namespace lockstep {
namespace {

// "NAME/" of the archive.
std::string find_prefix(const ZipArchive& archive) {
  constexpr std::string_view kPickle = "/data.pkl";
  const std::string_view* found = nullptr;
  for (const auto& [name, entry] : archive.entries()) {
    const std::string_view inside = name.substr(std::min(name.find('/'), name.size()));
    if (inside == "/constants.pkl" || inside.starts_with("/code/")) {
      fail(Failure::checkpoint, shown(name),
           ": the file is a TorchScript archive, a program; expected tensors alone; load it in "
           "PyTorch and save torch.save(model.state_dict(), …)");
    }
    if (inside == kPickle) found = &name;
  }
  if (found == nullptr) {
    fail(Failure::checkpoint, "the zip archive has no NAME/data.pkl among its ",
         archive.entries().size(),
         " entries; expected a file of torch.save; save it with torch.save(model.state_dict(), …)");
  }
  return std::string(found->substr(0, found->size() - kPickle.size() + 1));
}

}  // namespace

Weights read_torch_zip(const FileBytes& file) {
  const ZipArchive archive(file);
  const std::string prefix = find_prefix(archive);
  if (const ZipEntry* order = archive.find(prefix + "byteorder")) {
    if (const FileBytes text = archive.read(*order); text.bytes == "big") {
      fail(Failure::checkpoint, prefix,
           "byteorder: the numbers are big-endian; expected little-endian; save the file again on "
           "a little-endian machine");
    }
  }
  const FileBytes pickled = archive.read(*archive.find(prefix + "data.pkl"));
  const Pickle pickle = read_pickle(pickled.bytes, "data.pkl");

  std::map<std::string_view, FileBytes> read;  // storages may be shared
  return weights_of_pickle(pickle, [&](const PickledStorage& storage) -> FileBytes {
    auto found = read.find(storage.key);
    if (found == read.end()) {
      const std::string name = concat(prefix, "data/", storage.key);
      const ZipEntry* entry = archive.find(name);
      if (entry == nullptr) {
        fail(Failure::checkpoint, "the archive has no ", shown(name),
             ", where its storage lies; the file is damaged");
      }
      found = read.emplace(storage.key, archive.read(*entry)).first;
    }
    const FileBytes& content = found->second;
    const auto size = static_cast<uint64_t>(size_of(storage.dtype));
    if (content.bytes.size() % size != 0 ||
        content.bytes.size() / size != static_cast<uint64_t>(storage.elements)) {
      fail(Failure::checkpoint, "its storage has ", content.bytes.size(), " bytes; expected ",
           storage.elements, " elements of ", size, "; the file is damaged");
    }
    return content;
  });
}

}  // namespace lockstep
