// Archives made byte by byte: what is read, and what is refused.
#include "weights/zip.hpp"

#include <gtest/gtest.h>
#include <libdeflate.h>

#include <functional>

#include "support/expect_error.hpp"
#include "weights/weight_files.hpp"

namespace lockstep::testing {
namespace {

struct Entry {
  std::string name;
  std::string content;  // as stored
  uint64_t bytes = content.size();
  uint16_t method = 0;
  uint16_t flags = 0;
  uint32_t crc = libdeflate_crc32(0, content.data(), content.size());
  std::string own_name = name;  // in its own header
  int64_t at = -1;              // where its header is said to be; -1: where it is
};

std::string facts(const Entry& entry, size_t name_bytes, size_t extra_bytes) {
  return number(20, 2) + number(entry.flags, 2) + number(entry.method, 2) + number(0, 4) +
         number(entry.crc, 4) + number(entry.content.size(), 4) + number(entry.bytes, 4) +
         number(name_bytes, 2) + number(extra_bytes, 2);
}

// An archive; in the 64-bit form every size and place stands in the extensions alone.
std::string archive(const std::vector<Entry>& entries, bool form64 = false,
                    const std::string& comment = "") {
  std::string file, directory;
  for (const Entry& entry : entries) {
    const auto at = entry.at < 0 ? file.size() : static_cast<size_t>(entry.at);
    file += number(0x04034B50, 4) + facts(entry, entry.own_name.size(), 0) + entry.own_name +
            entry.content;
    std::string extra;
    Entry said = entry;
    std::string sizes = facts(said, entry.name.size(), 0);
    if (form64) {
      extra = number(0x9999, 2) + number(1, 2) + "x" + number(1, 2) + number(24, 2) +
              number(entry.bytes, 8) + number(entry.content.size(), 8) + number(at, 8);
      sizes = facts(said, entry.name.size(), extra.size());
      sizes.replace(14, 8, std::string(8, '\xff'));
    }
    directory += number(0x02014B50, 4) + number(20, 2) + sizes + number(0, 2 + 2 + 2) +
                 number(0, 4) + (form64 ? std::string(4, '\xff') : number(at, 4)) + entry.name +
                 extra;
  }
  const size_t directory_at = file.size();
  file += directory;
  const uint64_t count = entries.size();
  if (form64) {
    const size_t end_at = file.size();
    file += number(0x06064B50, 4) + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) +
            number(count, 8) + number(count, 8) + number(directory.size(), 8) +
            number(directory_at, 8);
    file += number(0x07064B50, 4) + number(0, 4) + number(end_at, 8) + number(1, 4);
    return file + number(0x06054B50, 4) + number(0, 4) + std::string(12, '\xff') + number(0, 2);
  }
  return file + number(0x06054B50, 4) + number(0, 4) + number(count, 2) + number(count, 2) +
         number(directory.size(), 4) + number(directory_at, 4) + number(comment.size(), 2) +
         comment;
}

std::string deflated(const std::string& content) {
  libdeflate_compressor* const machine = libdeflate_alloc_compressor(9);
  std::string out(libdeflate_deflate_compress_bound(machine, content.size()), '\0');
  out.resize(
      libdeflate_deflate_compress(machine, content.data(), content.size(), out.data(), out.size()));
  libdeflate_free_compressor(machine);
  return out;
}

Entry deflated_entry(const std::string& name, const std::string& content) {
  Entry entry{name, deflated(content)};
  entry.bytes = content.size();
  entry.method = 8;
  entry.crc = libdeflate_crc32(0, content.data(), content.size());
  return entry;
}

std::string content_of(const ZipArchive& zip, std::string_view name) {
  return std::string(zip.read(*zip.find(name)).bytes);
}

void expect_refused(const std::string& file, std::string_view text) {
  expect_error(
      [&] {
        const ZipArchive zip(file_bytes(file));
        for (const auto& [name, entry] : zip.entries()) zip.read(entry);
      },
      Failure::checkpoint, text);
}

TEST(ZipTest, ReadsStoredAndDeflatedEntries) {
  const std::string long_text(10000, 'x');
  const ZipArchive zip(
      file_bytes(archive({{"a", "alpha"}, deflated_entry("b", long_text), {"c", ""}})));
  EXPECT_EQ(zip.entries().size(), 3u);
  EXPECT_EQ(content_of(zip, "a"), "alpha");
  EXPECT_EQ(content_of(zip, "b"), long_text);
  EXPECT_EQ(content_of(zip, "c"), "");
  EXPECT_EQ(zip.find("d"), nullptr);
}

TEST(ZipTest, StoredEntriesAreNotCopied) {
  const FileBytes file = file_bytes(archive({{"a", "alpha"}}));
  const ZipArchive zip(file);
  const char* const at = zip.read(*zip.find("a")).bytes.data();
  EXPECT_GT(at, file.bytes.data());
  EXPECT_LT(at, file.bytes.data() + file.bytes.size());
}

TEST(ZipTest, ReadsThe64BitForm) {
  const ZipArchive zip(file_bytes(archive({{"a", "alpha"}, {"b", "beta"}}, true)));
  EXPECT_EQ(content_of(zip, "a"), "alpha");
  EXPECT_EQ(content_of(zip, "b"), "beta");
}

TEST(ZipTest, ACommentMayHoldAnything) {
  const std::string inner = archive({{"x", "inner"}});
  const ZipArchive zip(file_bytes(archive({{"a", "alpha"}}, false, inner + "PK")));
  EXPECT_EQ(content_of(zip, "a"), "alpha");
}

TEST(ZipTest, RefusesWhatIsDamaged) {
  const Entry good{"a", "alpha"};
  const std::string whole = archive({good});
  expect_refused(whole.substr(0, whole.size() - 1), "no end record");
  expect_refused(whole.substr(0, 10), "no end record");
  expect_refused(whole.substr(1), "ends after its end record");
  expect_refused("PK\3\4", "no end record");

  Entry entry = good;
  entry.crc ^= 1;
  expect_refused(archive({entry}), "CRC-32");
  entry = good;
  entry.method = 12;
  expect_refused(archive({entry}), "method 12");
  entry = good;
  entry.flags = 1;
  expect_refused(archive({entry}), "encrypted");
  entry = good;
  entry.bytes = 6;
  expect_refused(archive({entry}), "two sizes");
  entry = good;
  entry.own_name = "b";
  expect_refused(archive({entry}), "another name");
  entry = good;
  entry.at = 1;
  expect_refused(archive({entry}), "no header at byte 1");
  entry.at = 1 << 30;
  expect_refused(archive({entry}), "after the end");
  expect_refused(archive({good, good}), "twice");
}

TEST(ZipTest, RefusesOverlappingEntries) {
  // The second entry's header lies in the first one's content, and so does its own content.
  const Entry inner{"b", "beta"};
  const std::string header = archive({inner}).substr(0, 30 + 1 + 4);
  Entry outer{"a", header};
  Entry said = inner;
  said.at = 30 + 1;
  expect_refused(archive({outer, said}), "overlaps");
}

TEST(ZipTest, RefusesABombBeforeInflatingIt) {
  Entry bomb = deflated_entry("a", std::string(1 << 20, '\0'));
  bomb.bytes = 0xFFFFFFF0;
  expect_refused(archive({bomb}), "zip bomb");
  // Many small ones together.
  std::vector<Entry> many;
  const std::string content(1 << 20, '\0');
  for (int i = 0; i < 80; ++i) many.push_back(deflated_entry(std::to_string(i), content));
  expect_refused(archive(many), "zip bomb");
}

TEST(ZipTest, RefusesDeflatedBytesOfAnotherLength) {
  for (int difference : {-1, 1}) {
    Entry entry = deflated_entry("a", std::string(1000, 'x'));
    entry.bytes = static_cast<uint64_t>(1000 + difference);
    expect_refused(archive({entry}), "cannot be inflated");
  }
  Entry noise{"a", "\xff\xff\xff\xff"};
  noise.method = 8;
  expect_refused(archive({noise}), "cannot be inflated");
}

}  // namespace
}  // namespace lockstep::testing
