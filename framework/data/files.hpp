// Whole files of a dataset, read into memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

// The content of a file; a gzip file (told by its first two bytes) is unpacked. A file that cannot
// be read, is damaged or holds more than `limit_bytes` throws Error{data} that names it.
std::vector<uint8_t> read_data_file(const std::string& path,
                                    int64_t limit_bytes = int64_t{1} << 32);

// The path of the first of `names` that exists in `folder`; empty if none does.
std::string find_data_file(const std::string& folder, std::span<const std::string> names);

// The lines of a text file, without blank ones and line ends.
std::vector<std::string> read_lines(const std::string& path);

}  // namespace lockstep
