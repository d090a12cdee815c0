#include "runtime/roll_call.hpp"

#include <vector>

#include "base/error.hpp"
#include "base/text.hpp"

namespace lockstep {
namespace {

// "rank 3 on c" or "ranks 3 on c, 4 on c and 12 more".
std::string name_ranks(std::span<const Presence> ranks, const std::vector<int>& chosen) {
  constexpr size_t kMost = 8;
  std::vector<std::string> names;
  for (const int rank : chosen) {
    if (names.size() == kMost) break;
    names.push_back(concat(rank, " on ", ranks[static_cast<size_t>(rank)].host));
  }
  if (chosen.size() > kMost) names.push_back(concat(chosen.size() - kMost, " more"));
  return concat(chosen.size() == 1 ? "rank " : "ranks ", list_words(names, " and "));
}

}  // namespace

std::string who_is_absent(std::span<const Presence> ranks, int self, int64_t number) {
  if (ranks.empty()) return "a rank is stopped or stuck, or a link is dead";
  std::vector<int> silent;
  std::vector<int> late;
  for (size_t i = 0; i < ranks.size(); ++i) {
    const int rank = static_cast<int>(i);
    if (rank == self) continue;
    if (!ranks[i].answers) {
      silent.push_back(rank);
    } else if (ranks[i].started < number) {
      late.push_back(rank);
    }
  }
  if (silent.empty() && late.empty())
    return "all ranks have come so far and answer, so the network between them loses data";

  std::string text;
  if (!silent.empty()) {
    text = concat(name_ranks(ranks, silent), silent.size() == 1 ? " does" : " do",
                  " not answer (the process is stopped, the host is down or its link is dead)");
  }
  if (!late.empty()) {
    if (!text.empty()) text += "; ";
    text +=
        concat(name_ranks(ranks, late), late.size() == 1 ? " answers but has" : " answer but have",
               " not come so far (slow or stuck in computing or reading data)");
  }
  return text;
}

}  // namespace lockstep
