// torch's zip and legacy formats, and pickles alone: behind the CRC-32 of an archive a fuzzer would
// hardly reach them.
#include <algorithm>

#include "fuzz/weights_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const FileBytes input = fuzz::input_bytes(data, size);
  fuzz::read_all([&] { return read_weights_in(input); });
  if (!input.bytes.starts_with('\x80')) return 0;
  fuzz::read_all([&] {
    // Storages are what follows the pickle, as far as it goes.
    const Pickle pickle = read_pickle(input.bytes, "pickle");
    const std::string_view rest = input.bytes.substr(pickle.length);
    return weights_of_pickle(pickle, [&](const PickledStorage& storage) -> FileBytes {
      const auto elements = rest.size() / static_cast<size_t>(size_of(storage.dtype));
      if (static_cast<uint64_t>(storage.elements) > elements) {
        fail(Failure::checkpoint, "a storage longer than the input");
      }
      return {rest, {}};
    });
  });
  return 0;
}
