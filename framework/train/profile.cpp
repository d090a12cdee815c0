#include "train/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace lockstep {

std::string profile_text(const LaunchTimes& times, double data_wait_seconds) {
  if (times.steps == 0) return "profile: no steps\n";
  struct Row {
    std::string label;
    double seconds;
    int64_t launches;
  };
  std::vector<Row> rows;
  size_t width = 6;
  for (const auto& [label, time] : times.by_label) {
    rows.push_back({label, time.first, time.second});
    width = std::max(width, label.size());
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.seconds > b.seconds; });

  const auto steps = static_cast<double>(times.steps);
  const double busy = times.launch_seconds;
  const double whole = times.step_seconds - data_wait_seconds;
  std::string text = fmt::format("{:<{}}  {:>10}  {:>6}  {:>9}\n", "launch", width, "ms/step",
                                 "share", "launches");
  for (const Row& row : rows) {
    text += fmt::format("{:<{}}  {:>10.4f}  {:>5.1f}%  {:>9}\n", row.label, width,
                        1e3 * row.seconds / steps, 100 * row.seconds / std::max(busy, 1e-12),
                        row.launches);
  }
  text += fmt::format(
      "{} steps of {:.4f} ms, {:.4f} ms in launches, waiting for data {:.4f} ms apart; overhead "
      "{:.2f}%\n",
      times.steps, 1e3 * whole / steps, 1e3 * busy / steps, 1e3 * data_wait_seconds / steps,
      100 * (whole - busy) / std::max(whole, 1e-12));
  return text;
}

}  // namespace lockstep
