// See torch_zip.cpp and pickle.hpp for the formats.
#include <libdeflate.h>

#include "base/error.hpp"
#include "weights/write.hpp"

namespace lockstep {
namespace {

void put(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i));
}

// ---- the pickle, protocol 2

void put_text(std::string& out, std::string_view text) {
  out += 'X';  // BINUNICODE
  put(out, text.size(), 4);
  out += text;
}

void put_integer(std::string& out, int64_t value) {
  if (value >= 0 && value < 256) {
    out += 'K';  // BININT1
    put(out, static_cast<uint64_t>(value), 1);
  } else {
    out += "\x8a\x08";  // LONG1 of eight bytes
    put(out, static_cast<uint64_t>(value), 8);
  }
}

void put_tuple(std::string& out, const Shape& values) {
  out += '(';  // MARK
  for (int64_t value : values) put_integer(out, value);
  out += 't';  // TUPLE
}

std::string_view storage_type(DType dtype) {
  constexpr std::string_view kNames[] = {"FloatStorage",    "DoubleStorage", "HalfStorage",
                                         "BFloat16Storage", "LongStorage",   "IntStorage",
                                         "ByteStorage"};
  return kNames[static_cast<int>(dtype)];
}

// _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())
void put_tensor(std::string& out, const NamedTensor& tensor, size_t key) {
  Shape strides = tensor.shape;
  int64_t stride = 1;
  for (int axis = strides.rank(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= tensor.shape[axis];
  }

  out += "ctorch._utils\n_rebuild_tensor_v2\n((";
  put_text(out, "storage");
  out += concat("ctorch\n", storage_type(tensor.dtype), "\n");
  put_text(out, std::to_string(key));
  put_text(out, "cpu");
  put_integer(out, tensor.shape.numel());
  out += "tQ";  // TUPLE, BINPERSID
  put_integer(out, 0);
  put_tuple(out, tensor.shape);
  put_tuple(out, strides);
  out += "\x89";                             // NEWFALSE: requires_grad
  out += "ccollections\nOrderedDict\n)RtR";  // no hooks; TUPLE, REDUCE
}

std::string pickled_state_dict(const std::vector<NamedTensor>& tensors) {
  std::string out =
      "\x80\x02"
      "ccollections\nOrderedDict\n)R(";
  for (size_t key = 0; key < tensors.size(); ++key) {
    put_text(out, tensors[key].name);
    put_tensor(out, tensors[key], key);
  }
  return out + "u.";  // SETITEMS, STOP
}

// ---- the archive

class StoredZip {
 public:
  explicit StoredZip(size_t bytes) { file_.reserve(bytes); }

  // Its bytes begin at a multiple of 64, as torch has it, by an extra field "FB" of padding.
  void add(const std::string& name, std::string_view content) {
    constexpr size_t kAlignment = 64;
    constexpr size_t kHeaderBytes = 30;
    const size_t least = file_.size() + kHeaderBytes + name.size() + 4;
    const size_t padding = (kAlignment - least % kAlignment) % kAlignment;
    require_room(least + padding + content.size());
    const uint32_t crc = libdeflate_crc32(0, content.data(), content.size());
    const size_t header_at = file_.size();
    put(file_, 0x04034B50, 4);
    put_facts(file_, crc, content.size(), name.size(), 4 + padding);
    file_ += name;
    file_ += "FB";
    put(file_, padding, 2);
    file_.append(padding, 'Z');
    file_ += content;

    put(directory_, 0x02014B50, 4);
    put(directory_, kVersion, 2);
    put_facts(directory_, crc, content.size(), name.size(), 0);
    put(directory_, 0, 2 + 2 + 2);  // comment, disk, internal attributes
    put(directory_, 0, 4);          // external attributes
    put(directory_, header_at, 4);
    directory_ += name;
    ++count_;
  }

  std::string finish() {
    const size_t directory_at = file_.size();
    require_room(directory_at + directory_.size());
    file_ += directory_;
    put(file_, 0x06054B50, 4);
    put(file_, 0, 4);  // disks
    put(file_, count_, 2);
    put(file_, count_, 2);
    put(file_, directory_.size(), 4);
    put(file_, directory_at, 4);
    put(file_, 0, 2);  // comment
    return std::move(file_);
  }

 private:
  static constexpr uint64_t kVersion = 20;

  static void put_facts(std::string& out, uint32_t crc, size_t bytes, size_t name, size_t extra) {
    put(out, kVersion, 2);
    put(out, 0, 2 + 2);   // flags; method: stored
    put(out, 0, 2);       // 0:00 on
    put(out, 0x0021, 2);  // 1980-01-01: equal weights give equal files
    put(out, crc, 4);
    put(out, bytes, 4);
    put(out, bytes, 4);
    put(out, name, 2);
    put(out, extra, 2);
  }
  void require_room(size_t bytes) const {
    if (bytes <= UINT32_MAX && count_ < UINT16_MAX) return;
    fail(Failure::other,
         "export: the weights take more than 4 GiB or 65,535 tensors; expected less "
         "for this format; export them as safetensors");
  }

  std::string file_;
  std::string directory_;
  size_t count_ = 0;
};

}  // namespace

std::string torch_bytes(const std::vector<NamedTensor>& tensors) {
  constexpr size_t kPerEntry = 512;
  size_t bytes = kPerEntry;
  for (const NamedTensor& tensor : tensors) {
    bytes += tensor.bytes.size() + 2 * tensor.name.size() + kPerEntry;
  }
  StoredZip zip(bytes);
  zip.add("weights/data.pkl", pickled_state_dict(tensors));
  zip.add("weights/byteorder", "little");
  for (size_t key = 0; key < tensors.size(); ++key) {
    zip.add(concat("weights/data/", key), tensors[key].bytes);
  }
  zip.add("weights/version", "3\n");
  return zip.finish();
}

}  // namespace lockstep
