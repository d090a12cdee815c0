#include "train/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>

#include "base/error.hpp"

namespace lockstep {
namespace {

constexpr std::array kSignals = {SIGUSR1, SIGTERM, SIGINT};

volatile sig_atomic_t received_signal = 0;
bool installed = false;
std::array<struct sigaction, kSignals.size()> former;

extern "C" void remember_signal(int number) {
  if (received_signal != 0) _exit(128 + number);
  received_signal = number;
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
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &former[i], nullptr);
  installed = false;
}

int StopSignals::received() const { return received_signal; }

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
