#include "train/terminal.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/log.hpp"
#include "base/text.hpp"

namespace lockstep {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(2);
constexpr int kWidestBar = 30;
constexpr int kNarrowestBar = 8;

// "epoch 2/10", or "epoch 2" where the number of epochs is not known.
std::string epoch_text(const Record& record, const Place& place) {
  const std::string text = fmt::format("epoch {}", record.epoch_number);
  return place.epochs > 0 ? fmt::format("{}/{}", text, place.epochs) : text;
}

std::string rate_text(const Record& record) {
  const double rate = record.images_per_second.value_or(0);
  return rate < 10 ? fmt::format("{:.1f} images/s", rate) : fmt::format("{:.0f} images/s", rate);
}

// Of fp16, where there were any: "  3 steps skipped, loss scale 8192".
std::string skipped_text(const Record& record) {
  const int64_t steps = record.skipped_steps.value_or(0);
  if (steps == 0) return {};
  return fmt::format("  {} step{} skipped, loss scale {:g}", steps, steps == 1 ? "" : "s",
                     record.loss_scale.value_or(0));
}

}  // namespace

std::string progress_bar(const Record& step, const Place& place, double seconds_left, int width) {
  const std::string head = epoch_text(step, place) + " ";
  const std::string tail =
      fmt::format(" {}/{}  loss {:.4f}  top1 {:.1f}%  {}  {} left", place.step_in_epoch,
                  place.steps_in_epoch, step.loss.value_or(0), 100 * step.top1.value_or(0),
                  rate_text(step), duration_text(seconds_left));
  const int room = width - static_cast<int>(head.size() + tail.size()) - 2;
  std::string bar;
  if (room >= kNarrowestBar) {
    const int length = std::min(room, kWidestBar);
    const double part =
        static_cast<double>(place.step_in_epoch) / static_cast<double>(place.steps_in_epoch);
    const int done = static_cast<int>(part * length);
    bar = "[" + std::string(static_cast<size_t>(done), '=');
    if (done < length) bar += ">" + std::string(static_cast<size_t>(length - done - 1), ' ');
    bar += "]";
  }
  return (head + bar + tail).substr(0, static_cast<size_t>(std::max(width, 0)));
}

std::string step_line(const Record& step, const Place& place) {
  return fmt::format("{} step {}  loss {:.4f}  top1 {:.1f}%  lr {:.4g}  {}{}",
                     epoch_text(step, place), step.step_number, step.loss.value_or(0),
                     100 * step.top1.value_or(0), step.lr.value_or(0), rate_text(step),
                     skipped_text(step));
}

std::string epoch_line(const Record& epoch, const Place& place) {
  return fmt::format("{}  loss {:.4f}  top1 {:.2f}%  {}  {}{}", epoch_text(epoch, place),
                     epoch.loss.value_or(0), 100 * epoch.top1.value_or(0), rate_text(epoch),
                     duration_text(epoch.seconds.value_or(0)), skipped_text(epoch));
}

std::string evaluation_line(const Record& evaluation) {
  return fmt::format("{}: loss {:.4f}  top1 {:.2f}%  top5 {:.2f}%  {} samples  {}",
                     evaluation.split, evaluation.loss.value_or(0),
                     100 * evaluation.top1.value_or(0), 100 * evaluation.top5.value_or(0),
                     count_text(evaluation.samples.value_or(0)),
                     duration_text(evaluation.seconds.value_or(0)));
}

Terminal::Terminal(bool quiet)
    : quiet_(quiet),
      bar_(!quiet && log::terminal_width() > 0),
      colors_(log::terminal_has_colors()) {}

Terminal::~Terminal() { erase(); }

void Terminal::on_step(const Record& record, const Place& place, bool logged) {
  if (quiet_) return;
  // The rate of the last ten steps or so, for the time that is left.
  const double seconds = record.seconds.value_or(0);
  seconds_per_step_ = seconds_per_step_ == 0 ? seconds : 0.9 * seconds_per_step_ + 0.1 * seconds;
  const auto now = Clock::now();
  const bool first = last_ == Clock::time_point{};
  if (bar_) {
    const bool end = place.step_in_epoch == place.steps_in_epoch;
    if (first || end || now - last_ >= kBarInterval) {
      draw(record, place);
      last_ = now;
    }
  } else if (logged && (first || now - last_ >= kLineInterval)) {
    std::printf("%s\n", step_line(record, place).c_str());
    std::fflush(stdout);
    last_ = now;
  }
}

void Terminal::on_epoch(const Record& record, const Place& place) {
  erase();
  log::info(epoch_line(record, place));
}

void Terminal::on_evaluation(const Record& record) {
  erase();
  log::info("  " + evaluation_line(record));
}

void Terminal::on_checkpoint(const Record& record) {
  erase();
  log::info(
      fmt::format("  saved {} in {}", record.path, duration_text(record.seconds.value_or(0))));
}

void Terminal::draw(const Record& record, const Place& place) {
  const auto left = static_cast<double>(place.steps_in_epoch - place.step_in_epoch);
  std::string line = progress_bar(record, place, left * seconds_per_step_,
                                  std::max(log::terminal_width() - 1, 20));
  if (colors_) {
    const size_t open = line.find('[');
    const size_t close = line.find(']');
    if (open != std::string::npos && close != std::string::npos) {
      line.insert(close + 1, "\x1b[0m");
      line.insert(open, "\x1b[32m");
    }
  }
  std::printf("\r\x1b[K%s", line.c_str());
  std::fflush(stdout);
  drawn_ = true;
}

void Terminal::erase() {
  if (!drawn_) return;
  std::printf("\r\x1b[K");
  std::fflush(stdout);
  drawn_ = false;
}

}  // namespace lockstep
