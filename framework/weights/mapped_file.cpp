#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "weights/bytes.hpp"

namespace lockstep {

FileBytes map_file(const std::filesystem::path& path) {
  const auto give_up = [&](const char* action) {
    fail(Failure::checkpoint, path.string(), ": cannot ", action, ": ", std::strerror(errno));
  };
  // A pipe must not block.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) give_up("open");
  const std::unique_ptr<const int, void (*)(const int*)> close_at_end(
      &descriptor, [](const int* d) { ::close(*d); });
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0) give_up("stat");
  if (!S_ISREG(facts.st_mode)) {
    fail(Failure::checkpoint, path.string(), ": is no regular file; expected a file of weights");
  }
  const auto size = static_cast<size_t>(facts.st_size);
  if (size == 0) return {};  // there is no mapping of nothing

  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (memory == MAP_FAILED) give_up("map");
  ::madvise(memory, size, MADV_WILLNEED);
  return {{static_cast<const char*>(memory), size},
          std::shared_ptr<const void>(
              memory, [size](const void* m) { ::munmap(const_cast<void*>(m), size); })};
}

std::string shown(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string result(text.substr(0, kMost));
  for (char& c : result) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text.size() > kMost ? result + "…" : result;
}

}  // namespace lockstep
