#include "cli/measure.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "base/random.hpp"
#include "checkpoint/file.hpp"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Bytes that no file system makes smaller.
std::string random_bytes(size_t count) {
  std::string bytes;
  RandomStream random(1, "disk", 0);
  while (bytes.size() < count) {
    const uint32_t word = random.next();
    bytes.append(reinterpret_cast<const char*>(&word), 4);
  }
  return bytes;
}

double measure_writing(const std::filesystem::path& path) {
  constexpr int64_t kMostBytes = 64 << 20;
  constexpr double kMostSeconds = 1;
  const std::string piece = random_bytes(size_t{1} << 20);
  const auto begin = Clock::now();
  OutputFile file(path);
  int64_t written = 0;
  while (written < kMostBytes && seconds_since(begin) < kMostSeconds) {
    file.write(piece);
    written += static_cast<int64_t>(piece.size());
  }
  file.sync();
  file.close();
  return static_cast<double>(written) / seconds_since(begin);
}

double measure_fsync(const std::filesystem::path& path) {
  constexpr int kMostTimes = 9;
  constexpr double kMostSeconds = 1;
  const std::string page = random_bytes(4096);
  const auto begin = Clock::now();
  OutputFile file(path);
  std::vector<double> seconds;
  while (seconds.empty() || (seconds.size() < kMostTimes && seconds_since(begin) < kMostSeconds)) {
    file.write(page);
    const auto sync_began = Clock::now();
    file.sync();
    seconds.push_back(seconds_since(sync_began));
  }
  file.close();
  return median(seconds);
}

}  // namespace

DiskSpeed measure_disk(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / (".doctor-" + std::to_string(getpid()));
  struct Remove {
    const std::filesystem::path& path;
    ~Remove() {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  } const remove_at_end{path};
  DiskSpeed speed;
  speed.write_bytes_per_second = measure_writing(path);
  speed.fsync_seconds = measure_fsync(path);
  return speed;
}

std::vector<AllReduceSpeed> measure_all_reduce(CommunicationThread& communication) {
  constexpr int64_t kSizes[] = {4, 4 << 10, 256 << 10, 4 << 20, 64 << 20};
  constexpr double kSecondsEach = 0.3;
  constexpr double kMostTimes = 1000;
  const double ranks = communication.world_size();
  std::vector<float> values(static_cast<size_t>(kSizes[std::size(kSizes) - 1]) / sizeof(float));
  const auto time_one = [&](int64_t bytes) {
    const auto begin = Clock::now();
    communication.wait(communication.post_all_reduce(values.data(),
                                                     bytes / static_cast<int64_t>(sizeof(float)),
                                                     DType::f32, Memory::host, nullptr, "doctor"));
    return seconds_since(begin);
  };
  std::vector<AllReduceSpeed> speeds;
  for (const int64_t bytes : kSizes) {
    time_one(bytes);  // connections and pages are made now
    communication.barrier("doctor");
    std::string times = std::to_string(
        static_cast<int>(std::clamp(kSecondsEach / time_one(bytes), 3.0, kMostTimes)));
    communication.broadcast(times, 0, "doctor");
    std::vector<double> seconds;
    for (int i = std::stoi(times); i > 0; --i) seconds.push_back(time_one(bytes));
    const double typical = median(seconds);
    speeds.push_back(
        {bytes, typical, 2 * (ranks - 1) / ranks * static_cast<double>(bytes) / typical});
  }
  return speeds;
}

}  // namespace lockstep
