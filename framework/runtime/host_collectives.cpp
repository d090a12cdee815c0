// What is made of collectives on host memory: sums, texts and barriers, each waited for.
#include <algorithm>

#include "runtime/communication_thread.hpp"

namespace lockstep {

void CommunicationThread::sum(std::span<double> values, std::string_view label) {
  wait(post_all_reduce(values.data(), static_cast<int64_t>(values.size()), DType::f64, Memory::host,
                       nullptr, label));
}

void CommunicationThread::broadcast(std::string& text, int root, std::string_view label) {
  uint64_t size = text.size();
  wait(post_broadcast(&size, sizeof size, root, Memory::host, label));
  text.resize(size);
  wait(post_broadcast(text.data(), static_cast<int64_t>(size), root, Memory::host, label));
}

std::vector<std::string> CommunicationThread::gather(std::string_view text,
                                                     std::string_view label) {
  const auto ranks = static_cast<size_t>(world_size());
  const uint64_t size = text.size();
  std::vector<uint64_t> sizes(ranks);
  wait(post_all_gather(&size, sizes.data(), sizeof size, label));

  // Everybody sends as much as the longest: texts are short, and of nearly equal length.
  const uint64_t longest = *std::max_element(sizes.begin(), sizes.end());
  std::string mine(text);
  mine.resize(longest);
  std::string all(longest * ranks, '\0');
  wait(post_all_gather(mine.data(), all.data(), static_cast<int64_t>(longest), label));

  std::vector<std::string> texts;
  for (size_t r = 0; r < ranks; ++r) texts.push_back(all.substr(r * longest, sizes[r]));
  return texts;
}

void CommunicationThread::barrier(std::string_view label) { gather({}, label); }

}  // namespace lockstep
