#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/text.hpp"
#include "plan/state.hpp"
#include "selftest/checks.hpp"
#include "selftest/golden_values.hpp"

namespace lockstep {
namespace {

constexpr int kRepeats = 5;

// The least seconds of a few runs, the device's work included; the first run is not counted.
template <class F>
double best_seconds(Device& device, F run) {
  double best = 1e30;
  for (int i = 0; i <= kRepeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run();
    device.synchronize(device.compute_stream());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (i > 0) best = std::min(best, took.count());
  }
  return best;
}

int64_t sample_bytes(const SelftestSubject& subject) {
  const int64_t wanted = int64_t{subject.quick ? 32 : 256} << 20;
  const int64_t free = subject.device.free_bytes();
  return free < 0 ? wanted : std::clamp<int64_t>(free / 8, 1 << 20, wanted) / 64 * 64;
}

}  // namespace

void check_memory(const SelftestSubject& subject, SelftestReport& report) {
  if (!subject.wants("copies keep their bits")) return;
  Device& device = subject.device;
  Stream* const stream = device.compute_stream();
  const int64_t bytes = sample_bytes(subject);
  const auto gigabytes_per_second = [&](const char* figure, double moved, auto run) {
    const double seconds = best_seconds(device, run);
    report.figures.push_back({figure, moved * static_cast<double>(bytes) / seconds / 1e9, "GB/s"});
  };
  if (const int64_t free = device.free_bytes(); free >= 0)
    report.figures.push_back({"free memory", static_cast<double>(free) / (1 << 30), "GiB"});

  const DeviceMemory a(device, bytes), b(device, bytes);
  const HostMemory host(device, bytes), back(device, bytes);
  for (int64_t i = 0; i < bytes / 4; ++i) {
    const uint32_t hash = golden_hash("copy", static_cast<uint64_t>(i));
    std::memcpy(host.data() + i * 4, &hash, sizeof hash);
  }
  gigabytes_per_second("copy host to device", 1,
                       [&] { device.copy_to_device(a.data(), host.data(), bytes, stream); });
  gigabytes_per_second("copy device to host", 1,
                       [&] { device.copy_to_host(back.data(), a.data(), bytes, stream); });
  CheckRow row{.name = "copies keep their bits", .dtype = {}, .note = {}};
  const std::byte *const begin = host.data(), *const end = begin + bytes;
  const std::byte* const wrong = std::mismatch(begin, end, back.data()).first;
  row.add(wrong == end ? 0 : 1, 0);
  if (wrong != end) {
    report.failures.push_back(concat(row.name, ": byte ", wrong - begin, " of ", bytes,
                                     " came back from the device with another value"));
  }
  report.rows.push_back(std::move(row));

  gigabytes_per_second("fill on the device", 1, [&] { device.fill_zero(b.data(), bytes, stream); });
  device.fill_zero(a.data(), bytes, stream);
  const auto kernel = device.prepare_accumulate(bytes / size_of(DType::f32), 1, 1);
  const DeviceMemory workspace(device, kernel->workspace_bytes());
  const void* inputs[] = {b.data()};
  void* outputs[] = {a.data()};
  gigabytes_per_second("a += b on the device", 3, [&] {
    kernel->launch({inputs, outputs, workspace.data(), stream});
  });
}

}  // namespace lockstep
