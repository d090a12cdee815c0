#include "joining.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.hpp"

namespace lockstep::nccl {
namespace {

// What a rank says of itself, in equal sizes.
struct Card {
  std::array<char, 64> gpu{};
  std::array<char, 256> host{};
};

}  // namespace

void require_own_gpus(Communicator& host, const Polling& polling, const std::string& gpu) {
  Card mine;
  std::copy_n(gpu.begin(), std::min(gpu.size(), mine.gpu.size() - 1), mine.gpu.begin());
  gethostname(mine.host.data(), mine.host.size() - 1);
  std::vector<Card> cards(static_cast<size_t>(host.world_size()));
  polling.finish(host.start_all_gather(&mine, cards.data(), sizeof mine),
                 "the exchange of GPUs' names");
  for (size_t b = 0; b < cards.size(); ++b) {
    for (size_t a = 0; a < b; ++a) {
      if (cards[a].gpu[0] == '\0' || cards[a].gpu != cards[b].gpu) continue;
      fail(Failure::device, "communicator nccl: ranks ", a, " and ", b, " on ",
           cards[b].host.data(), " both have the GPU ", cards[b].gpu.data(),
           "; expected a GPU for each rank; start as many ranks per host as it has GPUs, and let "
           "CUDA_VISIBLE_DEVICES show every rank all of them");
    }
  }
}

ncclUniqueId share_unique_id(Communicator& host, const Polling& polling) {
  ncclUniqueId id{};
  if (host.rank() == 0) {
    const ncclResult_t result = ncclGetUniqueId(&id);
    if (result != ncclSuccess) {
      fail(Failure::device, "communicator nccl: ncclGetUniqueId: ", ncclGetErrorString(result),
           ": ", ncclGetLastError(nullptr),
           "; expected a network interface; NCCL_SOCKET_IFNAME names one, NCCL_DEBUG=INFO says "
           "more");
    }
  }
  polling.finish(host.start_broadcast(&id, sizeof id, 0, Memory::host),
                 "the exchange of NCCL's id");
  return id;
}

}  // namespace lockstep::nccl
