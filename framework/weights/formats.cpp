// Which format a file has, by its first bytes.
#include "weights/formats.hpp"

#include "base/error.hpp"

namespace lockstep {
namespace {

constexpr std::string_view kExpected =
    "; expected a file of torch.save (.pth, .pt), .safetensors or a checkpoint of Lockstep";

bool is_safetensors(std::string_view bytes) { return bytes.size() > 8 && bytes[8] == '{'; }

// What a file seems to be that is none of the formats; for the message.
std::string_view other_format(std::string_view bytes) {
  constexpr std::string_view kHdf5("\x89HDF\r\n\x1a\n", 8);
  if (bytes.empty()) return "the file is empty";
  if (bytes.starts_with(kHdf5)) return "the file is HDF5, but no checkpoint of Lockstep";
  if (bytes.starts_with("\x1f\x8b")) return "the file is compressed by gzip; gunzip it first";
  if (bytes.starts_with("<")) {
    return "the file is a web page or XML; the download went to another address";
  }
  if (bytes.size() > 262 && bytes.substr(257, 5) == "ustar") {
    return "the file is a tar archive, such as PyTorch wrote before 0.1.10; save it again";
  }
  if (bytes.starts_with('\x80')) return "the file is a pickle, but not of torch.save";
  return "the file's first bytes are of no known format";
}

}  // namespace

Weights read_weights_in(const FileBytes& file) {
  if (file.bytes.starts_with("PK\x03\x04")) return read_torch_zip(file);
  if (is_torch_legacy(file.bytes)) return read_torch_legacy(file);
  if (is_safetensors(file.bytes)) return read_safetensors(file);
  fail(Failure::checkpoint, other_format(file.bytes), kExpected);
}

}  // namespace lockstep
