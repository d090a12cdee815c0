#include "runtime/guard.hpp"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

#include "runtime/communication_thread.hpp"

namespace lockstep {
namespace {

// A text's 128-bit hash as 16 bytes, equal on machines of any byte order.
std::string digest(std::string_view text) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(text.data(), text.size()));
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

// The part of a text around a position, in quotes, on one line.
std::string excerpt(std::string_view text, size_t position) {
  constexpr size_t kBefore = 24;
  constexpr size_t kAfter = 40;
  const size_t begin = position > kBefore ? position - kBefore : 0;
  const size_t end = std::min(text.size(), position + kAfter);
  std::string part(text.substr(std::min(begin, text.size()), end - std::min(begin, end)));
  std::replace(part.begin(), part.end(), '\n', ' ');
  return concat("'", begin > 0 ? "…" : "", part, end < text.size() ? "…" : "", "'");
}

}  // namespace

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0) return "unknown host";
  return name;
}

namespace detail {

void print_last_words(int rank, int world_size, std::string_view text) noexcept {
  static std::atomic_flag printed;
  if (printed.test_and_set()) return;
  std::string line = "lockstep: ";
  if (world_size > 0) line += concat("rank ", rank, " of ", world_size, " on ", host_name(), ": ");
  line += concat(text, '\n');
  std::fflush(stdout);  // what was printed before comes before
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace detail

void die(const Error& error, std::string_view where, CommunicationThread* communication) noexcept {
  const std::string text = where.empty() ? error.what() : concat(where, ": ", error.what());
  if (communication == nullptr) {
    detail::print_last_words(0, 0, text);
    std::fflush(nullptr);
    _exit(error.exit_code());
  }
  detail::print_last_words(communication->rank(), communication->world_size(), text);
  communication->abort(error.exit_code());
}

void require_equal(CommunicationThread& communication, std::string_view what,
                   std::string_view text) {
  const std::vector<std::string> digests =
      communication.gather(digest(text), concat(what, " hash"));
  const auto differs = [&](const std::string& other) { return other != digests[0]; };
  const auto first = std::find_if(digests.begin(), digests.end(), differs);
  if (first == digests.end()) return;

  // Every rank has seen the same hashes, so every rank comes here.
  const auto rank = static_cast<size_t>(first - digests.begin());
  const std::vector<std::string> texts = communication.gather(text, what);
  const std::vector<std::string> hosts = communication.gather(host_name(), what);
  const auto [mine, theirs] =
      std::mismatch(texts[0].begin(), texts[0].end(), texts[rank].begin(), texts[rank].end());
  fail(Failure::usage, what, ": rank ", rank, " on ", hosts[rank], " has ",
       excerpt(texts[rank], static_cast<size_t>(theirs - texts[rank].begin())), "; rank 0 on ",
       hosts[0], " has ", excerpt(texts[0], static_cast<size_t>(mine - texts[0].begin())),
       "; start all ranks with the same recipe, options, data and build");
}

}  // namespace lockstep
