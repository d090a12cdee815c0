#include <cmath>

#include "plan/state.hpp"
#include "selftest/checks.hpp"
#include "selftest/tensor.hpp"

namespace lockstep {
namespace {

constexpr int64_t kCounts[] = {1, 1000, (1 << 20) + 3};

// What rank r gives is r + 1 times this, small integers: the sum is exact in any order.
double share(int64_t i) { return static_cast<double>(i % 7 + 1); }

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
    if (on_device && !device_.host_accessible() && !communication_.stream_ordered()) {
      row.outcome = CheckRow::Outcome::not_supported;
      row.note = "this communicator has no access to the device's memory";
    } else {
      for (int64_t count : kCounts) check<T>(memory, count, row);
    }
    report_.rows.push_back(std::move(row));
  }

 private:
  template <class T>
  void check(Memory memory, int64_t count, CheckRow& row) {
    std::vector<T> values(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i)
      values[static_cast<size_t>(i)] = static_cast<T>(share(i) * (communication_.rank() + 1));
    if (memory == Memory::device) {
      sum_on_device(values);
    } else {
      communication_.wait(communication_.post_all_reduce(values.data(), count, DTypeOf<T>::value,
                                                         Memory::host, nullptr, "self-test"));
    }
    const double ranks = communication_.world_size();
    for (int64_t i = 0; i < count; ++i) {
      const double expected = share(i) * ranks * (ranks + 1) / 2;
      const double found = values[static_cast<size_t>(i)];
      if (found == expected) continue;
      row.add(INFINITY, 0);
      report_.failures.push_back(concat(row.name, ": ", row.dtype, ", ", count,
                                        " elements, element ", i, ": found ", found, "; expected ",
                                        expected));
      return;
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
  if (!subject.wants("all-reduce")) return;
  AllReduceCheck check(subject.device, communication, report);
  check.run<double>(Memory::host);
  check.run<float>(Memory::host);
  check.run<float>(Memory::device);
}

}  // namespace lockstep
