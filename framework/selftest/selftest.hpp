// A device proves itself on the machine at hand: everything that a training asks of it, compared
// with the device `reference`, whose plain loops are the oracle.
#pragma once

#include "selftest/report.hpp"
#include "train/session.hpp"

namespace lockstep {

struct SelftestOptions {
  std::string device = "auto";
  int threads = 0;  // as device.threads
  bool quick = false;
  std::string only;  // checks whose names have this in them; empty: all
};

// This process among its ranks, and nothing opened yet.
std::unique_ptr<Session> selftest_session(const SelftestOptions& options, Registry& registry);

// Runs the checks on every rank; the merged report on all of them. All ranks call it. Throws
// Error{usage} where no check has the name.
SelftestReport run_selftest(Session& session, const SelftestOptions& options);

}  // namespace lockstep
