// Devices and ops for tests, opened once. Devices have 2 threads and multiply in full float32.
#pragma once

#include <string>

#include "device/device.hpp"

namespace lockstep::test {

Device& test_device(const std::string& name);
// Why the device cannot be had on this machine, as where there is no GPU; empty where it can.
std::string missing_device(const std::string& name);
const OpRegistry& test_ops();

}  // namespace lockstep::test
