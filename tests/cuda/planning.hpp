// Plans networks for GPUs that are not there: compile() with the cuda device made from a
// description, in processes of its own, so that a crash inside cuDNN is a failure with a name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "graph/graph.hpp"
#include "plan/plan.hpp"
#include "plugin/registry.hpp"

namespace lockstep::testing {

// The GPUs of tests/cuda/devices, by architecture.
std::string device_description(int architecture);

// A network in one of its forms, for one GPU.
struct PlanningCase {
  std::string recipe;  // "imagenet/resnet50.toml"
  Mode mode = Mode::training;
  DType precision = DType::f32;
  int architecture = 90;
  bool tf32 = true;

  std::string text() const;  // "imagenet/resnet50.toml training bf16 sm_90"
};

// What a recipe asks compile() for, in one of these forms.
PlanRequest planning_request(const PlanningCase& what, Registry& registry);

struct PlannedGraph {
  std::string label;
  std::string implementation;
  int64_t workspace_bytes = 0;
};

struct PlanningResult {
  PlanningCase what;
  std::string failure;  // empty: every kernel was prepared
  int64_t launches = 0;
  std::vector<PlannedGraph> graphs;  // different ones
  double seconds = 0;
};

// Paths of all recipes of the tree, relative to recipes/.
std::vector<std::string> all_recipes();

// Two at a time. Plans are kept in, and taken from, the folder that LOCKSTEP_PLAN_CACHE names.
std::vector<PlanningResult> plan_cases(const std::vector<PlanningCase>& cases);

// The nodes of all op cases in this type, as the self-test and the conformance tests run them:
// without TF32, for an H100. Returns what was refused and why.
struct OpCasePlans {
  int64_t prepared = 0;
  std::vector<std::string> refused;
};
OpCasePlans plan_op_cases(DType dtype);

// A line per architecture and precision: networks, launches, graphs, workspace, engines.
std::string summary_table(const std::vector<PlanningResult>& results);

// Whether this process runs with the driver that the tests bring (null_driver.c), and only then
// kernels can be compiled at plan time.
bool has_null_driver();

}  // namespace lockstep::testing
