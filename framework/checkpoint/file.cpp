#include "checkpoint/file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.hpp"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

FileFaultHook& hook() {
  static FileFaultHook hook;
  return hook;
}

// LOCKSTEP_FILE_FAULT; what is not understood is an error at once, so that no test passes for a
// typing mistake.
struct EnvironmentFault {
  std::string call;  // empty: none
  int64_t from = 0;
  bool all_later = false;
  std::string what;
  std::atomic<int64_t> seen{0};

  EnvironmentFault() {
    const char* text = std::getenv("LOCKSTEP_FILE_FAULT");
    if (text == nullptr || *text == '\0') return;
    const std::string all = text;
    const size_t first = all.find(':');
    const size_t second = all.find(':', first + 1);
    if (first != std::string::npos && second != std::string::npos) {
      call = all.substr(0, first);
      std::string number = all.substr(first + 1, second - first - 1);
      if (number.ends_with('+')) {
        all_later = true;
        number.pop_back();
      }
      from = std::atoll(number.c_str());
      what = all.substr(second + 1);
    }
    const bool known =
        what == "ENOSPC" || what == "EIO" || what == "EROFS" || what == "short" || what == "kill";
    if (!known || from < 1) {
      fail(Failure::usage, "LOCKSTEP_FILE_FAULT: '", all,
           "'; CALL:N:WHAT was expected, such as write:1:ENOSPC");
    }
  }

  FileFault next(FileCall current) {
    if (call.empty() || (call != "any" && call != name(current))) return {};
    const int64_t n = ++seen;
    if (all_later ? n < from : n != from) return {};
    if (what == "kill") kill(getpid(), SIGKILL);
    if (what == "short") return {.error = 0, .most_bytes = 1};
    return {.error = what == "ENOSPC" ? ENOSPC : what == "EIO" ? EIO : EROFS};
  }
};

FileFault fault(FileCall call, const fs::path& path) {
  if (hook()) return hook()(call, path);
  static EnvironmentFault environment;
  return environment.next(call);
}

[[noreturn]] void fail_with(int error, FileCall call, const fs::path& path) {
  fail(Failure::checkpoint, path.string(), ": cannot ", name(call), ": ", std::strerror(error));
}

// Makes the call again while the system interrupts it; a fault comes in its place. Returns the
// result or -1 and errno.
template <class F>
int64_t call_system(FileCall call, const fs::path& path, F&& action) {
  if (const FileFault injected = fault(call, path); injected.error != 0) {
    errno = injected.error;
    return -1;
  }
  int64_t result;
  do {
    result = action();
  } while (result < 0 && errno == EINTR);
  return result;
}

template <class F>
int64_t checked(FileCall call, const fs::path& path, F&& action) {
  const int64_t result = call_system(call, path, action);
  if (result < 0) fail_with(errno, call, path);
  return result;
}

// Linux closes a descriptor even where close() says EINTR: never again.
int close_once(int descriptor) {
  const int result = ::close(descriptor);
  return result < 0 && errno == EINTR ? 0 : result;
}

}  // namespace

std::string_view name(FileCall call) {
  constexpr std::string_view kNames[] = {"open",   "write",   "fsync",  "close",
                                         "rename", "symlink", "unlink", "statvfs"};
  return kNames[static_cast<int>(call)];
}

void set_file_fault_hook(FileFaultHook new_hook) { hook() = std::move(new_hook); }

OutputFile::OutputFile(fs::path path) : path_(std::move(path)) {
  descriptor_ = static_cast<int>(checked(FileCall::open, path_, [&] {
    return ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  }));
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write(std::string_view bytes) {
  constexpr size_t kMostPerCall = size_t{1} << 30;  // Linux takes less than 2 GiB at a time
  while (!bytes.empty()) {
    const FileFault injected = fault(FileCall::write, path_);
    if (injected.error != 0) fail_with(injected.error, FileCall::write, path_);
    const size_t count = std::min({bytes.size(), kMostPerCall, injected.most_bytes});
    const ssize_t written = ::write(descriptor_, bytes.data(), count);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail_with(errno, FileCall::write, path_);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void OutputFile::sync() {
  checked(FileCall::fsync, path_, [&] { return ::fsync(descriptor_); });
}

void OutputFile::close() {
  // Closed in any case: where a fault comes in the call's place, by the destructor.
  checked(FileCall::close, path_, [&] { return close_once(std::exchange(descriptor_, -1)); });
}

void rename_file(const fs::path& from, const fs::path& to) {
  checked(FileCall::rename, to, [&] { return ::rename(from.c_str(), to.c_str()); });
}

void make_symlink(const std::string& target, const fs::path& path) {
  checked(FileCall::symlink, path, [&] { return ::symlink(target.c_str(), path.c_str()); });
}

void remove_file(const fs::path& path) {
  const int64_t result =
      call_system(FileCall::unlink, path, [&] { return ::unlink(path.c_str()); });
  if (result < 0 && errno != ENOENT) fail_with(errno, FileCall::unlink, path);
}

void sync_folder(const fs::path& folder) {
  const auto descriptor = static_cast<int>(checked(FileCall::open, folder, [&] {
    return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }));
  const int64_t result = call_system(FileCall::fsync, folder, [&] { return ::fsync(descriptor); });
  const int error = errno;
  ::close(descriptor);
  // Some file systems have no fsync for folders, and say so.
  if (result < 0 && error != EINVAL && error != ENOTSUP) fail_with(error, FileCall::fsync, folder);
}

int64_t free_bytes(const fs::path& folder) {
  struct statvfs facts {};
  checked(FileCall::statvfs, folder, [&] { return ::statvfs(folder.c_str(), &facts); });
  return static_cast<int64_t>(facts.f_bavail) * static_cast<int64_t>(facts.f_frsize);
}

std::string read_file(const fs::path& path) {
  const auto give_up = [&](const char* action) {
    fail(Failure::checkpoint, path.string(), ": cannot ", action, ": ", std::strerror(errno));
  };
  const int descriptor =
      ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a pipe must not block
  if (descriptor < 0) give_up("open");
  const std::unique_ptr<const int, void (*)(const int*)> close_at_end(
      &descriptor, [](const int* d) { ::close(*d); });
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0) give_up("stat");
  if (!S_ISREG(facts.st_mode)) fail(Failure::checkpoint, path.string(), ": is no regular file");

  std::string bytes(static_cast<size_t>(facts.st_size), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t count = ::read(descriptor, bytes.data() + have, bytes.size() - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) give_up("read");
    if (count == 0) break;  // it has become shorter meanwhile
    have += static_cast<size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace lockstep
