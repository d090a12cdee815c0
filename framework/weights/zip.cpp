#include "weights/zip.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <vector>

#include "base/error.hpp"

namespace lockstep {
namespace {

constexpr std::string_view kWhat = "zip archive";
constexpr uint32_t kLocalHeader = 0x04034B50;
constexpr uint32_t kDirectoryHeader = 0x02014B50;
constexpr uint32_t kEnd = 0x06054B50;
constexpr uint32_t kEnd64 = 0x06064B50;
constexpr uint32_t kLocator64 = 0x07064B50;
constexpr size_t kEndBytes = 22;
constexpr size_t kLocator64Bytes = 20;
constexpr size_t kDirectoryHeaderBytes = 46;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  // "see the extra field"

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  fail(Failure::checkpoint, kWhat, ": ", parts...);
}

// Replaces the numbers that did not fit into 32 bits by those of the extra field 1.
void read_extra64(std::string_view extra, ZipEntry& entry, uint64_t& header_at) {
  ByteReader in(extra, "zip archive's extra field");
  while (in.left() >= 4) {
    const uint16_t id = in.u16();
    ByteReader field(in.take(in.u16()), "zip archive's 64-bit extra field");
    if (id != 1) continue;
    for (uint64_t* number : {&entry.bytes, &entry.stored_bytes, &header_at}) {
      if (*number == kIn64) *number = field.u64();
    }
    return;
  }
}

}  // namespace

ZipArchive::ZipArchive(FileBytes file) : file_(std::move(file)) {
  const Directory directory = find_directory();
  read_directory(directory);
  check_extents(directory.at);
}

// The end record stands at the end, but for a comment of at most 65,535 bytes.
ZipArchive::Directory ZipArchive::find_directory() const {
  const std::string_view bytes = file_.bytes;
  const size_t last = bytes.size() < kEndBytes ? 0 : bytes.size() - kEndBytes;
  const size_t first = last > 65535 ? last - 65535 : 0;
  for (size_t at = last + 1; bytes.size() >= kEndBytes && at-- > first;) {
    if (bytes[at] != 'P') continue;
    ByteReader in(bytes, kWhat, at);
    if (in.u32() != kEnd) continue;
    const uint32_t disks = in.u32();
    const uint16_t count_here = in.u16();
    const uint16_t count = in.u16();
    const uint32_t directory_bytes = in.u32();
    const uint32_t directory_at = in.u32();
    if (in.u16() != in.left()) continue;  // the comment's length: these were bytes of a comment
    if (at >= kLocator64Bytes &&
        ByteReader(bytes, kWhat, at - kLocator64Bytes).u32() == kLocator64) {
      return find_directory64(at);
    }
    if (disks != 0 || count_here != count) refuse("has several parts; expected one file");
    if (uint64_t{directory_at} + directory_bytes > at) {
      refuse("its directory ends after its end record; the file is damaged");
    }
    return {directory_at, directory_bytes, count};
  }
  refuse("has no end record; the file is truncated or damaged; download or save it again");
}

ZipArchive::Directory ZipArchive::find_directory64(size_t end_at) const {
  ByteReader locator(file_.bytes, kWhat, end_at - kLocator64Bytes + 8);
  const uint64_t at = locator.u64();
  if (at > end_at - kLocator64Bytes) refuse("its 64-bit end record is out of place");
  ByteReader in(file_.bytes, kWhat, static_cast<size_t>(at));
  if (in.u32() != kEnd64) refuse("has no 64-bit end record where its locator says");
  in.skip(8 + 2 + 2 + 4 + 4);  // sizes and versions; disks
  const uint64_t count_here = in.u64();
  const uint64_t count = in.u64();
  const uint64_t bytes = in.u64();
  const uint64_t directory_at = in.u64();
  if (count_here != count) refuse("has several parts; expected one file");
  if (directory_at > at || bytes > at - directory_at) {
    refuse("its directory ends after its end record; the file is damaged");
  }
  return {directory_at, bytes, count};
}

void ZipArchive::read_directory(const Directory& directory) {
  if (directory.count > directory.bytes / kDirectoryHeaderBytes) {
    refuse("has ", directory.count, " entries in a directory of ", directory.bytes,
           " bytes; the file is damaged");
  }
  ByteReader in(file_.bytes.substr(0, static_cast<size_t>(directory.at + directory.bytes)),
                "zip archive's directory", static_cast<size_t>(directory.at));
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (in.u32() != kDirectoryHeader) {
      refuse("entry ", i, " of the directory has no header; the file is damaged");
    }
    ZipEntry entry;
    in.skip(2 + 2);  // versions
    const uint16_t flags = in.u16();
    const uint16_t method = in.u16();
    in.skip(2 + 2);  // time and date
    entry.crc = in.u32();
    entry.stored_bytes = in.u32();
    entry.bytes = in.u32();
    const uint16_t name_bytes = in.u16();
    const uint16_t extra_bytes = in.u16();
    const uint16_t comment_bytes = in.u16();
    in.skip(2 + 2 + 4);  // disk, attributes
    uint64_t header_at = in.u32();
    entry.name = in.take(name_bytes);
    read_extra64(in.take(extra_bytes), entry, header_at);
    in.skip(comment_bytes);

    if ((flags & 1) != 0) refuse(shown(entry.name), " is encrypted; expected a plain archive");
    if (method != 0 && method != 8) {
      refuse(shown(entry.name), " is compressed by method ", method,
             "; expected 0 (stored) or 8 (deflated); zip it again");
    }
    entry.deflated = method == 8;
    if (!entry.deflated && entry.bytes != entry.stored_bytes) {
      refuse(shown(entry.name), " is stored with two sizes; the file is damaged");
    }
    entry.data_at = read_local_header(entry, header_at);
    if (!entries_.emplace(entry.name, entry).second) {
      refuse(shown(entry.name), " is there twice; expected every name once");
    }
  }
}

// Returns where the entry's bytes begin: after a header whose extra field has a length of its own.
uint64_t ZipArchive::read_local_header(const ZipEntry& entry, uint64_t header_at) const {
  if (header_at > file_.bytes.size()) {
    refuse(shown(entry.name), " begins after the end of the file; it is truncated or damaged");
  }
  ByteReader in(file_.bytes, kWhat, static_cast<size_t>(header_at));
  if (in.u32() != kLocalHeader) {
    refuse(shown(entry.name), " has no header at byte ", header_at, "; the file is damaged");
  }
  in.skip(2 + 2 + 2 + 4 + 12);  // as in the directory
  const uint16_t name_bytes = in.u16();
  const uint16_t extra_bytes = in.u16();
  if (in.take(name_bytes) != entry.name) {
    refuse(shown(entry.name), " has another name in its own header; the file is damaged");
  }
  in.skip(extra_bytes);
  return in.at();
}

void ZipArchive::check_extents(uint64_t directory_at) const {
  std::vector<const ZipEntry*> order;
  for (const auto& [name, entry] : entries_) order.push_back(&entry);
  std::ranges::sort(order, {}, &ZipEntry::data_at);
  uint64_t end = 0;
  uint64_t inflated = 0;
  for (const ZipEntry* entry : order) {
    if (entry->data_at < end) {
      refuse(shown(entry->name), " overlaps the entry before it; the file is damaged");
    }
    if (entry->data_at > directory_at || entry->stored_bytes > directory_at - entry->data_at) {
      refuse(shown(entry->name), " has ", entry->stored_bytes, " bytes from byte ", entry->data_at,
             ", past the directory at byte ", directory_at, "; the file is damaged");
    }
    end = entry->data_at + entry->stored_bytes;
    const uint64_t most = (uint64_t{64} << 20) + 64 * uint64_t{file_.bytes.size()};
    if (entry->deflated && (entry->bytes > most || (inflated += entry->bytes) > most)) {
      refuse(shown(entry->name), " would make more than ", most, " bytes of a file of ",
             file_.bytes.size(), "; expected weights; a zip bomb?");
    }
  }
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

FileBytes ZipArchive::read(const ZipEntry& entry) const {
  FileBytes content{file_.bytes.substr(static_cast<size_t>(entry.data_at),
                                       static_cast<size_t>(entry.stored_bytes)),
                    file_.owner};
  if (entry.deflated) {
    const auto size = static_cast<size_t>(entry.bytes);
    const auto memory = std::make_shared_for_overwrite<char[]>(size);
    const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> machine(
        libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
    if (machine == nullptr) throw std::bad_alloc();
    // Without a place for the count, anything but exactly `size` bytes is an error.
    if (libdeflate_deflate_decompress(machine.get(), content.bytes.data(), content.bytes.size(),
                                      memory.get(), size, nullptr) != LIBDEFLATE_SUCCESS) {
      refuse(shown(entry.name), " cannot be inflated to ", size,
             " bytes; the file is damaged; download or save it again");
    }
    content = {{memory.get(), size}, memory};
  }
  const uint32_t crc = libdeflate_crc32(0, content.bytes.data(), content.bytes.size());
  if (crc != entry.crc) {
    refuse(shown(entry.name), " has the CRC-32 ", crc, "; expected ", entry.crc,
           "; the file is damaged; download or save it again");
  }
  return content;
}

}  // namespace lockstep
