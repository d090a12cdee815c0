// The parts of a self-test. Each adds its rows, figures and failures to the report.
#pragma once

#include "plugin/registry.hpp"
#include "runtime/communication_thread.hpp"
#include "selftest/report.hpp"

namespace lockstep {

struct SelftestSubject {
  Registry& registry;
  Device& device;
  Device& reference;  // the oracle
  bool quick;         // leaves out large cases and in-place runs
  std::string only;   // checks whose names have this in them; empty: all

  bool wants(std::string_view name) const { return name.find(only) != name.npos; }
  // The device's own, or one that a plugin brings.
  bool has_kernel(const Node& node, DType dtype) const {
    return registry.find_kernel(device.name(), node.op) != nullptr ||
           device.supports(node.op, node.attributes, dtype);
  }
};

// Every case of cases.txt: each node of its graph, gradients included, gets the oracle's inputs and
// is compared with the oracle's outputs, in every layout that the device chooses. A row per op.
void check_ops(const SelftestSubject& subject, SelftestReport& report);

// That an op whose first input holds NaNs gives NaN wherever the oracle does: a device that makes
// numbers of them hides that a training has diverged. A row per type.
void check_nans(const SelftestSubject& subject, SelftestReport& report);

// What runs once per step over whole arenas: optimizers, norm, sums.
void check_arena_kernels(const SelftestSubject& subject, SelftestReport& report);

// Two training steps of ResNet-18 on small pictures: losses, and how far the parameters moved. And
// steps whose launches are recorded and replayed against steps that are launched one by one.
void check_training(const SelftestSubject& subject, SelftestReport& report);

// Sums over all ranks, of host and of device memory, in every type that trainings sum; and a
// broadcast. All ranks call it.
void check_all_reduce(const SelftestSubject& subject, CommunicationThread& communication,
                      SelftestReport& report);

// That copies keep their bits; bandwidths, and what is free.
void check_memory(const SelftestSubject& subject, SelftestReport& report);

}  // namespace lockstep
