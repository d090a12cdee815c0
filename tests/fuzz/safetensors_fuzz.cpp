#include "fuzz/weights_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep;
  const FileBytes input = fuzz::input_bytes(data, size);
  fuzz::read_all([&] { return read_safetensors(input); });
  return 0;
}
