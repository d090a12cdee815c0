#include "data/files.hpp"

#include <algorithm>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lockstep {
namespace {

constexpr size_t kChunkBytes = size_t{1} << 20;

void read_all(std::istream& stream, const std::string& path, int64_t limit_bytes,
              std::vector<uint8_t>& content) {
  while (stream) {
    const size_t held = content.size();
    content.resize(held + kChunkBytes);
    stream.read(reinterpret_cast<char*>(content.data() + held), kChunkBytes);
    content.resize(held + static_cast<size_t>(stream.gcount()));
    if (static_cast<int64_t>(content.size()) > limit_bytes) {
      fail(Failure::data, path, ": holds more than ", bytes_text(limit_bytes),
           "; expected a dataset's file; fetch it again");
    }
  }
}

bool is_gzip(std::ifstream& file) {
  char magic[2] = {};
  file.read(magic, 2);
  const bool gzip = file.gcount() == 2 && magic[0] == '\x1f' && magic[1] == '\x8b';
  file.clear();
  file.seekg(0);
  return gzip;
}

}  // namespace

std::vector<uint8_t> read_data_file(const std::string& path, int64_t limit_bytes) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    fail(Failure::data, path, ": is a folder; expected a file");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(Failure::data, path, ": cannot be opened: ", std::strerror(errno));
  std::vector<uint8_t> content;
  if (!is_gzip(file)) {
    const auto bytes = std::filesystem::file_size(path, ignored);
    if (!ignored) content.reserve(std::min<size_t>(bytes, size_t{1} << 30) + kChunkBytes);
    read_all(file, path, limit_bytes, content);
    if (file.bad()) fail(Failure::data, path, ": reading failed: ", std::strerror(errno));
    return content;
  }
  try {
    boost::iostreams::filtering_istream unpacked;
    unpacked.push(boost::iostreams::gzip_decompressor(), kChunkBytes);
    unpacked.push(file);
    unpacked.exceptions(std::ios::badbit);  // else a damaged file looks like a short one
    read_all(unpacked, path, limit_bytes, content);
  } catch (const std::ios_base::failure& e) {  // what Boost's gzip and zlib errors derive from
    fail(Failure::data, path, ": damaged or truncated gzip file (", e.what(), "); fetch it again");
  }
  return content;
}

std::string find_data_file(const std::string& folder, std::span<const std::string> names) {
  for (const std::string& name : names) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return path.string();
  }
  return {};
}

std::vector<std::string> read_lines(const std::string& path) {
  const std::vector<uint8_t> content = read_data_file(path);
  std::istringstream text(std::string(content.begin(), content.end()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

}  // namespace lockstep
