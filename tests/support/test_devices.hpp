// Devices and ops for tests, opened once: reference and cpu (2 threads).
#pragma once

#include <string>

#include "device/device.hpp"

namespace lockstep::test {

Device& test_device(const std::string& name);
const OpRegistry& test_ops();

}  // namespace lockstep::test
