// Logging over spdlog: one logger, a sink for the terminal and one for the rank's file.
#include "base/log.hpp"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string_view>

#include "base/error.hpp"

namespace lockstep::log {
namespace {

bool environment_allows_colors() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color == nullptr || *no_color == '\0';
}

// mpirun puts a terminal without size between itself and the ranks, whatever its own output is:
// there COLUMNS, which launch/mpirun sets, says whether somebody is watching.
int width_of(int descriptor) {
  const char* term = std::getenv("TERM");
  if (term != nullptr && std::string_view(term) == "dumb") return 0;
  winsize size{};
  if (isatty(descriptor) == 0 || ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
  if (size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  return columns != nullptr ? std::max(std::atoi(columns), 0) : 0;
}

// The line alone; before it, on a terminal, the progress bar that may stand there is erased.
class TerminalSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const bool serious = message.level >= spdlog::level::warn;
    std::FILE* stream = serious ? stderr : stdout;
    const bool terminal = width_of(fileno(stream)) > 0;
    std::string text = terminal ? "\r\x1b[K" : "";
    if (serious) {
      const bool is_error = message.level >= spdlog::level::err;
      const std::string_view label = is_error ? "error: " : "warning: ";
      if (terminal && environment_allows_colors()) {
        text += fmt::format("{}{}\x1b[0m", is_error ? "\x1b[31m" : "\x1b[33m", label);
      } else {
        text += label;
      }
    }
    text.append(message.payload.data(), message.payload.size());
    text += '\n';
    std::fwrite(text.data(), 1, text.size(), stream);
    std::fflush(stream);
  }
  void flush_() override {}
};

struct State {
  std::shared_ptr<TerminalSink> terminal = std::make_shared<TerminalSink>();
  std::shared_ptr<spdlog::sinks::sink> file;
  spdlog::logger logger{"lockstep", terminal};
  int rank = 0;

  State() {
    logger.set_level(spdlog::level::debug);
    terminal->set_level(spdlog::level::info);
  }
};

State& state() {
  static State* state = new State;  // never destroyed: threads may log while the process ends
  return *state;
}

}  // namespace

void set_up(int rank, bool quiet) {
  State& s = state();
  s.rank = rank;
  s.terminal->set_level(rank != 0 ? spdlog::level::off
                        : quiet   ? spdlog::level::warn
                                  : spdlog::level::info);
}

void open_file(const std::filesystem::path& folder) {
  State& s = state();
  close_file();
  const std::filesystem::path path = folder / "log" / fmt::format("rank-{:04}.log", s.rank);
  try {
    std::filesystem::create_directories(path.parent_path());
    s.file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
  } catch (const std::exception& e) {
    fail(Failure::other, path.string(), ": found that it cannot be written (", e.what(),
         "); expected a run folder with room and permission");
  }
  s.file->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
  s.logger.sinks().push_back(s.file);
  s.logger.flush_on(spdlog::level::info);
}

void close_file() {
  State& s = state();
  if (!s.file) return;
  s.logger.sinks().pop_back();
  s.file.reset();
}

void debug(const std::string& line) { state().logger.debug(spdlog::string_view_t(line)); }
void info(const std::string& line) { state().logger.info(spdlog::string_view_t(line)); }
void warn(const std::string& line) { state().logger.warn(spdlog::string_view_t(line)); }
void error(const std::string& line) { state().logger.error(spdlog::string_view_t(line)); }

int terminal_width() { return width_of(STDOUT_FILENO); }

bool terminal_has_colors() { return terminal_width() > 0 && environment_allows_colors(); }

}  // namespace lockstep::log
