// What this process runs on, as the system tells it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lockstep {

std::string processor_name();  // "AMD EPYC 9454"
// The widest vectors that kernels are written for and this processor has: "avx512", "avx2", "avx",
// "sse4.1", "x86-64"; on other architectures their name.
std::string instruction_set();

// The cores that a process may run on, ascending; 0 is this process. Empty where it cannot be told.
std::vector<int> usable_cores(pid_t process = 0);

// Differs between machines that have the same name, and is equal for containers on one machine.
std::string machine_id();

// Raises the soft limit of open files as far as the hard one allows, within reason, and returns it.
int64_t raise_open_files();

// The first half of the XXH3-128 of a file's bytes, as 16 digits; "unreadable" where it is that.
std::string file_digest(const std::filesystem::path& path);

// The first line of a file, such as those in /proc and /sys; empty where there is none.
std::string first_line(const std::filesystem::path& path);

}  // namespace lockstep
