#include "train/signals.hpp"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <array>

#include "base/error.hpp"

namespace lockstep {
namespace {

constexpr std::array kSignals = {SIGUSR1, SIGTERM, SIGINT};

// Slurm sends TERM twice within milliseconds when it preempts a job: that is one request.
constexpr double kSameRequestSeconds = 1;

volatile sig_atomic_t received_signal = 0;
struct timespec received_at {};  // read only after received_signal is set
bool installed = false;
bool ignored = false;
std::array<struct sigaction, kSignals.size()> former;
struct sigaction former_pipe {};

double seconds_since_received() {
  struct timespec now {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec - received_at.tv_sec) +
         1e-9 * static_cast<double>(now.tv_nsec - received_at.tv_nsec);
}

extern "C" void remember_signal(int number) {
  if (received_signal == 0) {
    clock_gettime(CLOCK_MONOTONIC, &received_at);
    received_signal = number;
    return;
  }
  if (number == received_signal && seconds_since_received() < kSameRequestSeconds) return;
  _exit(128 + number);
}

}  // namespace

StopSignals::StopSignals() {
  LS_ASSERT(!installed);
  installed = true;
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = remember_signal;
  action.sa_flags = SA_RESTART;  // reads and writes under way go on
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &former[i]);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, &former_pipe);
}

StopSignals::~StopSignals() {
  installed = false;
  if (ignored) return;
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &former[i], nullptr);
  sigaction(SIGPIPE, &former_pipe, nullptr);
}

void StopSignals::ignore_the_rest() {
  ignored = true;
  for (const int number : kSignals) signal(number, SIG_IGN);
}

int StopSignals::received() const { return received_signal; }

double StopSignals::seconds_since() const {
  return received_signal == 0 ? 0 : seconds_since_received();
}

const char* signal_name(int number) {
  switch (number) {
    case SIGUSR1:
      return "USR1";
    case SIGTERM:
      return "TERM";
    case SIGINT:
      return "INT";
    default:
      return "another";
  }
}

}  // namespace lockstep
