#include "support/simulated_ranks.hpp"

#include <unistd.h>

#include <cstring>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/half.hpp"
#include "support/simulated_device.hpp"

namespace lockstep::testing {
namespace {

using Bytes = SimulatedRanks::Bytes;

template <class T, class Sum>
Bytes sum(const std::vector<Bytes>& ranks) {
  Bytes result(ranks[0].size());
  for (size_t at = 0; at < result.size(); at += sizeof(T)) {
    Sum total = 0;
    for (const Bytes& rank : ranks) {
      T value;
      std::memcpy(&value, rank.data() + at, sizeof value);
      if constexpr (std::is_same_v<T, Bf16>) {
        total += to_float(value);
      } else {
        total += value;
      }
    }
    T rounded;
    if constexpr (std::is_same_v<T, Bf16>) {
      rounded = from_float<Bf16>(total);
    } else {
      rounded = total;
    }
    std::memcpy(result.data() + at, &rounded, sizeof rounded);
  }
  return result;
}

Bytes copy_of(const void* memory, int64_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(memory);
  return {begin, begin + bytes};
}

void put(const Bytes& bytes, void* memory) {
  if (!bytes.empty()) std::memcpy(memory, bytes.data(), bytes.size());
}

class HostPending final : public Pending {
 public:
  HostPending(SimulatedRanks& ranks, int64_t number, void* result)
      : ranks_(ranks), number_(number), result_(result) {}
  bool test() override {
    const Bytes* const result = ranks_.result(SimulatedRanks::Order::host, number_);
    if (result == nullptr) return false;
    put(*result, result_);
    return true;
  }

 private:
  SimulatedRanks& ranks_;
  int64_t number_;
  void* result_;
};

class StreamPending final : public Pending {
 public:
  explicit StreamPending(SimulatedDevice& device)
      : device_(device), behind_(device.create_event()) {
    device.record(behind_, device.communication_stream());
  }
  ~StreamPending() override { device_.destroy_event(behind_); }
  bool test() override { return device_.finished(behind_); }
  Event* enqueued() const override { return behind_; }

 private:
  SimulatedDevice& device_;
  Event* behind_;
};

class SimulatedCommunicator final : public Communicator {
 public:
  SimulatedCommunicator(SimulatedRanks& ranks, int rank, bool stream_ordered)
      : ranks_(ranks), rank_(rank), stream_ordered_(stream_ordered) {}

  std::string_view name() const override { return "simulated"; }
  int rank() const override { return rank_; }
  int world_size() const override { return ranks_.count(); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return ranks_.count(); }
  bool stream_ordered() const override { return stream_ordered_; }
  void attach(Device& device) override { device_ = dynamic_cast<SimulatedDevice*>(&device); }

  std::unique_ptr<Pending> start_all_reduce(void* data, int64_t count, DType dtype,
                                            Memory memory) override {
    LS_ASSERT(dtype == DType::f32 || dtype == DType::f64 || dtype == DType::bf16);
    const auto work = dtype == DType::f32   ? sum<float, float>
                      : dtype == DType::f64 ? sum<double, double>
                                            : sum<Bf16, float>;
    return start(data, count * size_of(dtype), data, memory, work);
  }
  std::unique_ptr<Pending> start_broadcast(void* data, int64_t bytes, int root,
                                           Memory memory) override {
    return start(data, bytes, data, memory, [root](const std::vector<Bytes>& ranks) {
      return ranks[static_cast<size_t>(root)];
    });
  }
  std::unique_ptr<Pending> start_all_gather(const void* mine, void* all, int64_t bytes) override {
    return start(mine, bytes, all, Memory::host, [](const std::vector<Bytes>& ranks) {
      Bytes result;
      for (const Bytes& rank : ranks) result.insert(result.end(), rank.begin(), rank.end());
      return result;
    });
  }

  [[noreturn]] void abort(int exit_code) noexcept override { _exit(exit_code); }

 private:
  // What is given is read when this rank comes to the collective, the result written when all have.
  std::unique_ptr<Pending> start(const void* mine, int64_t bytes, void* result, Memory memory,
                                 SimulatedRanks::Work work) {
    using Order = SimulatedRanks::Order;
    if (!stream_ordered_ || memory == Memory::host) {
      ranks_.arrive(Order::host, host_number_, rank_, copy_of(mine, bytes), work);
      return std::make_unique<HostPending>(ranks_, host_number_++, result);
    }
    const int64_t number = stream_number_++;
    auto has_arrived = std::make_shared<bool>(false);
    device_->enqueue(device_->communication_stream(), [=, this] {
      void* const there = device_->memory_at(result, "collective");
      if (!std::exchange(*has_arrived, true)) {
        ranks_.arrive(Order::stream, number, rank_, copy_of(there, bytes), work);
      }
      const Bytes* const sum = ranks_.result(Order::stream, number);
      if (sum != nullptr) put(*sum, there);
      return sum != nullptr;
    });
    return std::make_unique<StreamPending>(*device_);
  }

  SimulatedRanks& ranks_;
  int rank_;
  bool stream_ordered_;
  SimulatedDevice* device_ = nullptr;
  int64_t host_number_ = 0;
  int64_t stream_number_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> SimulatedRanks::make(int rank, bool stream_ordered) {
  return std::make_unique<SimulatedCommunicator>(*this, rank, stream_ordered);
}

void SimulatedRanks::run(const std::function<void(int rank)>& body) const {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count_; ++rank) threads.emplace_back(body, rank);
  for (std::thread& thread : threads) thread.join();
}

void SimulatedRanks::arrive(Order order, int64_t number, int rank, Bytes mine, const Work& work) {
  const std::lock_guard lock(mutex_);
  Meeting& meeting = meetings_[{order, number}];
  meeting.given.resize(static_cast<size_t>(count_));
  meeting.given[static_cast<size_t>(rank)] = std::move(mine);
  if (++meeting.arrived == count_) meeting.result = work(meeting.given);
}

const SimulatedRanks::Bytes* SimulatedRanks::result(Order order, int64_t number) const {
  const std::lock_guard lock(mutex_);
  const auto meeting = meetings_.find({order, number});
  if (meeting == meetings_.end() || meeting->second.arrived < count_) return nullptr;
  return &meeting->second.result;  // nothing changes it any more
}

}  // namespace lockstep::testing
