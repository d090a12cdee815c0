// Ranks that are threads of one process, and how they talk: a communicator whose sums are taken in
// rank order, on host memory or, with simulated devices, in the order of their streams.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "device/communicator.hpp"

namespace lockstep::testing {

class SimulatedRanks {
 public:
  explicit SimulatedRanks(int count) : count_(count) {}
  int count() const { return count_; }

  // The communicator of a rank. With stream_ordered, collectives on device memory run on the
  // communication stream of the simulated device it is attached to.
  std::unique_ptr<Communicator> make(int rank, bool stream_ordered);

  // Calls body(rank) for every rank, each in a thread of its own.
  void run(const std::function<void(int rank)>& body) const;

  // --- for communicators
  // Collectives of host memory and those of streams each have their own order.
  enum class Order : uint8_t { host, stream };
  using Bytes = std::vector<std::byte>;
  // What comes of the ranks' bytes, once all have come.
  using Work = std::function<Bytes(const std::vector<Bytes>&)>;
  void arrive(Order order, int64_t number, int rank, Bytes mine, const Work& work);
  // Null until all have arrived.
  const Bytes* result(Order order, int64_t number) const;

 private:
  struct Meeting {
    std::vector<Bytes> given;
    int arrived = 0;
    Bytes result;
  };

  int count_;
  mutable std::mutex mutex_;
  std::map<std::pair<Order, int64_t>, Meeting> meetings_;
};

}  // namespace lockstep::testing
