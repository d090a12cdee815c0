#include <cmath>
#include <type_traits>

#include "base/half.hpp"
#include "plan/state.hpp"
#include "selftest/checks.hpp"
#include "selftest/tensor.hpp"

namespace lockstep {
namespace {

constexpr int64_t kCounts[] = {1, 1000, (1 << 20) + 3};

// What a rank gives, and the sum over all ranks: small integers, so that it is exact in any order;
// in bf16 among up to 256 ranks.
template <class T>
double share(int64_t i, int rank) {
  return std::is_same_v<T, Bf16> ? static_cast<double>(i % 2)
                                 : static_cast<double>((i % 7 + 1) * (rank + 1));
}
template <class T>
double sum_of_shares(int64_t i, double ranks) {
  return std::is_same_v<T, Bf16> ? static_cast<double>(i % 2) * ranks
                                 : static_cast<double>(i % 7 + 1) * ranks * (ranks + 1) / 2;
}

template <class T>
T from_double(double value) {
  if constexpr (std::is_same_v<T, Bf16>)
    return from_float<Bf16>(static_cast<float>(value));
  else
    return static_cast<T>(value);
}
template <class T>
double to_double(T value) {
  if constexpr (std::is_same_v<T, Bf16>)
    return to_float(value);
  else
    return value;
}

class AllReduceCheck {
 public:
  AllReduceCheck(Device& device, CommunicationThread& communication, SelftestReport& report)
      : device_(device), communication_(communication), report_(report) {}

  template <class T>
  void run(Memory memory) {
    const bool on_device = memory == Memory::device;
    CheckRow row{.name = on_device ? "all-reduce, device memory" : "all-reduce, host memory",
                 .dtype = std::string(name(DTypeOf<T>::value)),
                 .note = {}};
    if (on_device && !reaches_device_memory()) {
      mark_unreachable(row);
    } else {
      for (int64_t count : kCounts) check<T>(memory, count, row);
    }
    report_.rows.push_back(std::move(row));
  }

  // Rank 0's bytes, in device memory.
  void run_broadcast() {
    CheckRow row{.name = "broadcast, device memory", .dtype = "u8", .note = {}};
    if (!reaches_device_memory()) {
      mark_unreachable(row);
    } else {
      for (int64_t count : kCounts) check_broadcast(count, row);
    }
    report_.rows.push_back(std::move(row));
  }

 private:
  bool reaches_device_memory() const {
    return device_.host_accessible() || communication_.stream_ordered();
  }
  static void mark_unreachable(CheckRow& row) {
    row.outcome = CheckRow::Outcome::not_supported;
    row.note = "this communicator has no access to the device's memory";
  }

  void check_broadcast(int64_t count, CheckRow& row) {
    const auto pattern = [](int64_t i) { return static_cast<uint8_t>(i % 251 + 1); };
    std::vector<uint8_t> bytes(static_cast<size_t>(count));
    if (communication_.rank() == 0) {
      for (int64_t i = 0; i < count; ++i) bytes[static_cast<size_t>(i)] = pattern(i);
    }
    Stream* const stream = device_.compute_stream();
    const DeviceMemory memory(device_, count);
    device_.copy_to_device(memory.data(), bytes.data(), count, stream);
    device_.synchronize(stream);
    communication_.wait(
        communication_.post_broadcast(memory.data(), count, 0, Memory::device, "self-test"));
    device_.synchronize(device_.communication_stream());
    device_.copy_to_host(bytes.data(), memory.data(), count, stream);
    device_.synchronize(stream);
    for (int64_t i = 0; i < count; ++i) {
      if (bytes[static_cast<size_t>(i)] == pattern(i)) continue;
      return add_wrong(row, count, i, bytes[static_cast<size_t>(i)], pattern(i));
    }
    row.add(0, 0);
  }

  void add_wrong(CheckRow& row, int64_t count, int64_t i, double found, double expected) {
    row.add(INFINITY, 0);
    report_.failures.push_back(concat(row.name, ": ", row.dtype, ", ", count, " elements, element ",
                                      i, ": found ", found, "; expected ", expected));
  }

  template <class T>
  void check(Memory memory, int64_t count, CheckRow& row) {
    std::vector<T> values(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i)
      values[static_cast<size_t>(i)] = from_double<T>(share<T>(i, communication_.rank()));
    if (memory == Memory::device) {
      sum_on_device(values);
    } else {
      communication_.wait(communication_.post_all_reduce(values.data(), count, DTypeOf<T>::value,
                                                         Memory::host, nullptr, "self-test"));
    }
    for (int64_t i = 0; i < count; ++i) {
      const double expected = sum_of_shares<T>(i, communication_.world_size());
      const double found = to_double(values[static_cast<size_t>(i)]);
      if (found != expected) return add_wrong(row, count, i, found, expected);
    }
    row.add(0, 0);
  }

  template <class T>
  void sum_on_device(std::vector<T>& values) {
    const auto count = static_cast<int64_t>(values.size());
    const int64_t bytes = count * size_of(DTypeOf<T>::value);
    Stream* const stream = device_.compute_stream();
    const DeviceMemory memory(device_, bytes);
    device_.copy_to_device(memory.data(), values.data(), bytes, stream);
    Event* const ready = device_.create_event();
    device_.record(ready, stream);
    communication_.wait(communication_.post_all_reduce(memory.data(), count, DTypeOf<T>::value,
                                                       Memory::device, ready, "self-test"));
    device_.synchronize(device_.communication_stream());
    device_.copy_to_host(values.data(), memory.data(), bytes, stream);
    device_.synchronize(stream);
    device_.destroy_event(ready);
  }

  Device& device_;
  CommunicationThread& communication_;
  SelftestReport& report_;
};

}  // namespace

void check_all_reduce(const SelftestSubject& subject, CommunicationThread& communication,
                      SelftestReport& report) {
  AllReduceCheck check(subject.device, communication, report);
  if (subject.wants("all-reduce")) {
    check.run<double>(Memory::host);
    check.run<float>(Memory::host);
    check.run<float>(Memory::device);
    check.run<double>(Memory::device);  // of synchronised batch norm
    constexpr int kMostExactRanks = 256;
    if (communication.world_size() <= kMostExactRanks) check.run<Bf16>(Memory::device);
  }
  if (subject.wants("broadcast")) check.run_broadcast();
}

}  // namespace lockstep
