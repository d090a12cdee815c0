// The system calls by which files are written, complete and restarted where the system interrupts
// them; and the one place where tests make them fail.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace lockstep {

enum class FileCall : uint8_t { open, write, fsync, close, rename, symlink, unlink, statvfs };
std::string_view name(FileCall call);

// What a test makes of one call: an errno it fails with, or the most bytes that a write takes.
struct FileFault {
  int error = 0;
  size_t most_bytes = SIZE_MAX;
};
// Asked before each call; may also end the process. Empty: no faults. Not to be set while files are
// being written. Without a hook the environment variable LOCKSTEP_FILE_FAULT, read once, can say
// one fault: CALL:N:WHAT, the N-th (from 1) call of that name fails with WHAT = ENOSPC, EIO or
// EROFS, is "short", or kills the process ("kill"); with N+ each from the N-th on. CALL may be
// "any".
using FileFaultHook = std::function<FileFault(FileCall call, const std::filesystem::path& path)>;
void set_file_fault_hook(FileFaultHook hook);

// Each throws Error{checkpoint}: "PATH: cannot write: No space left on device". Descriptors close
// themselves.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);  // created or emptied
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void write(std::string_view bytes);
  void sync();
  void close();  // with its error, which some network file systems tell only here

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);
void make_symlink(const std::string& target, const std::filesystem::path& path);
void remove_file(const std::filesystem::path& path);       // no error where there is none
void sync_folder(const std::filesystem::path& folder);     // makes names in it durable
int64_t free_bytes(const std::filesystem::path& folder);   // for users without privileges
std::string read_file(const std::filesystem::path& path);  // all of a regular file

}  // namespace lockstep
