// Signals that ask training to stop in an orderly way: USR1, TERM and INT.
//
// The first one only sets a flag, which the trainer reads between steps, so that all ranks can
// agree on the step after which they save and leave. A second one leaves at once; the same one
// again within a second is still the first. PIPE does nothing: srun may be gone before its ranks
// have saved.
#pragma once

namespace lockstep {

// Handlers are installed while an object lives; the former ones are put back after it. One object
// at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  int received() const;          // the signal's number; 0: none yet
  double seconds_since() const;  // it was received; 0: none yet

  // All is saved, and this process is about to end with kExitStopped: nothing may change that.
  // (When the first rank has left, srun ends the others.) Signals have no effect from here to its
  // end.
  void ignore_the_rest();
};

const char* signal_name(int number);  // "USR1"; "another" for those that StopSignals does not know

}  // namespace lockstep
