// Which Lockstep this is, and with which compiler and libraries it runs: for --version and
// environment.json.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

struct Version {
  std::string name;
  std::string version;
};

std::string lockstep_version();  // "0.1.0"
// The compiler and the framework's libraries; what plugins use, their devices and communicators
// say.
std::vector<Version> library_versions();

}  // namespace lockstep
