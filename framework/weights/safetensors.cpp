// Safetensors: eight bytes with the length of a JSON header, the header, and the tensors' bytes.
// The format: https://huggingface.co/docs/safetensors, section "Format".
#include <algorithm>
#include <vector>

#include "base/error.hpp"
#include "weights/formats.hpp"
#include "weights/safetensors_header.hpp"

namespace lockstep {
namespace {

constexpr uint64_t kMostHeaderBytes = 100'000'000;  // the limit of the format's own library

// Every byte of `data` belongs to exactly one tensor.
void check_offsets(const std::map<std::string, SafetensorsEntry, std::less<>>& entries,
                   std::string_view data) {
  using Item = std::pair<const std::string, SafetensorsEntry>;
  std::vector<const Item*> order;
  for (const Item& item : entries) order.push_back(&item);
  std::ranges::sort(
      order, {}, [](const Item* item) { return std::pair(item->second.begin, item->second.end); });
  uint64_t end = 0;
  for (const Item* item : order) {
    const auto& [name, entry] = *item;
    if (entry.begin != end || entry.end < entry.begin) {
      fail(Failure::checkpoint, shown(name), ": its data_offsets are ", entry.begin, " and ",
           entry.end, "; expected to begin at ", end,
           ", where the tensor before it ends; the file is damaged");
    }
    end = entry.end;
  }
  if (end != data.size()) {
    fail(Failure::checkpoint, "the tensors take ", end, " bytes, and ", data.size(),
         " follow the header; the file is truncated or damaged; download or save it again");
  }
}

StoredTensor tensor_at(const std::string& name, const SafetensorsEntry& entry,
                       const FileBytes& data) {
  const auto bytes = static_cast<int64_t>(entry.end - entry.begin);
  int64_t expected = size_of(entry.dtype);
  bool overflow = false;
  for (int64_t extent : entry.shape) {
    overflow = __builtin_mul_overflow(expected, extent, &expected) || overflow;
  }
  if (overflow || expected != bytes) {
    fail(Failure::checkpoint, shown(name), ": ", bytes, " bytes for ", lockstep::name(entry.dtype),
         entry.shape, "; expected as many as the shape has; the file is damaged");
  }
  // Of an empty tensor the strides say nothing, and might overflow.
  std::vector<int64_t> strides(static_cast<size_t>(entry.shape.rank()));
  int64_t stride = 1;
  for (size_t axis = strides.size(); bytes > 0 && axis-- > 0;) {
    strides[axis] = stride;
    stride *= entry.shape[static_cast<int>(axis)];
  }
  const FileBytes part{
      data.bytes.substr(static_cast<size_t>(entry.begin), static_cast<size_t>(bytes)), data.owner};
  return place_tensor(entry.dtype, entry.shape, std::move(strides), 0, bytes / size_of(entry.dtype),
                      part);
}

}  // namespace

Weights read_safetensors(const FileBytes& file) {
  ByteReader in(file.bytes, "length of the header");
  const uint64_t header_bytes = in.u64();
  if (header_bytes > kMostHeaderBytes) {
    in.fail_here(header_bytes, " bytes; expected at most ", kMostHeaderBytes,
                 "; the file is damaged");
  }
  if (header_bytes > in.left()) {
    in.fail_here(header_bytes, " bytes in a file of ", file.bytes.size(),
                 "; the file is truncated or damaged");
  }
  const std::string_view header = in.take(header_bytes);
  const FileBytes data{in.take(in.left()), file.owner};
  const auto entries = read_safetensors_header(header);
  check_offsets(entries, data.bytes);
  Weights weights;
  for (const auto& [name, entry] : entries) {
    weights.tensors.emplace(name, tensor_at(name, entry, data));
  }
  if (weights.tensors.empty()) {
    fail(Failure::checkpoint, "header: names no tensors; expected the weights of a network");
  }
  strip_module_prefix(weights);
  return weights;
}

}  // namespace lockstep
