// ZIP archives, as far as torch.save and other tools write them: stored and deflated entries, with
// and without the 64-bit extension.
//
// The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 to 4.5.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "weights/bytes.hpp"

namespace lockstep {

struct ZipEntry {
  std::string_view name;
  uint64_t data_at = 0;  // where its bytes begin in the file
  uint64_t stored_bytes = 0;
  uint64_t bytes = 0;  // inflated
  uint32_t crc = 0;
  bool deflated = false;
};

class ZipArchive {
 public:
  // Reads and checks the central directory: every entry lies within the file, none overlaps
  // another, and all together inflate to at most 64 MiB and 64 times the file (a zip bomb is
  // refused before a byte of it is inflated). Throws Error{checkpoint}.
  explicit ZipArchive(FileBytes file);

  const std::map<std::string_view, ZipEntry>& entries() const { return entries_; }
  const ZipEntry* find(std::string_view name) const;
  // An entry's bytes: a part of the file, or a copy where they are deflated. Checks the CRC-32;
  // throws Error{checkpoint} that names the entry.
  FileBytes read(const ZipEntry& entry) const;

 private:
  struct Directory {
    uint64_t at, bytes, count;
  };
  Directory find_directory() const;
  Directory find_directory64(size_t end_at) const;
  void read_directory(const Directory& directory);
  uint64_t read_local_header(const ZipEntry& entry, uint64_t header_at) const;
  void check_extents(uint64_t directory_at) const;

  FileBytes file_;
  std::map<std::string_view, ZipEntry> entries_;
};

}  // namespace lockstep
