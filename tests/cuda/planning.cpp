#include "cuda/planning.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/error.hpp"
#include "device.hpp"
#include "planner.hpp"
#include "selftest/op_cases.hpp"
#include "selftest/op_runner.hpp"
#include "support/temporary_folder.hpp"
#include "support/test_devices.hpp"
#include "train/session.hpp"

namespace lockstep::testing {
namespace {

namespace fs = std::filesystem;

// A rank's share of a large global batch: what one GPU takes at once.
constexpr int64_t kMostSamples = 256;
constexpr size_t kProcesses = 2;

// Compiles the network and writes a line per graph before and after it is planned.
void plan_case(const PlanningCase& what, std::ofstream& report) {
  Registry registry;
  const PlanRequest request = planning_request(what, registry);
  cuda::CudaDevice device(device_description(what.architecture), {.tf32 = what.tf32});
  device.planner().watch([&](const std::string& label, const cuda::ExecutionPlan* plan) {
    if (plan == nullptr) {
      report << "begin\t" << label << std::endl;
    } else {
      report << "plan\t" << label << '\t' << plan->implementation() << '\t'
             << plan->workspace_bytes() << std::endl;
    }
  });
  const ParameterLayout layout = parameter_layout(request, what.mode, registry, device);
  const Plan plan = compile(request, registry, device, layout);
  report << "done\t" << plan.launches.size() << std::endl;
}

[[noreturn]] void run_child(const PlanningCase& what, const fs::path& path) {
  std::ofstream report(path);
  try {
    plan_case(what, report);
  } catch (const std::exception& error) {
    report << "failed\t" << error.what() << std::endl;
  }
  report.close();
  _exit(0);
}

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields;
  std::stringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  return fields;
}

// What the child wrote, and how it ended.
PlanningResult read_report(const PlanningCase& what, const fs::path& path, int status) {
  PlanningResult result{.what = what, .failure = "ended without a word", .graphs = {}};
  std::ifstream file(path);
  std::string begun;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = fields_of(line);
    if (fields[0] == "begin") begun = fields.at(1);
    if (fields[0] == "plan") {
      result.graphs.push_back({fields.at(1), fields.at(2), std::stoll(fields.at(3))});
    }
    if (fields[0] == "failed") result.failure = fields.at(1);
    if (fields[0] == "done") {
      result.failure.clear();
      result.launches = std::stoll(fields.at(1));
    }
  }
  if (WIFSIGNALED(status)) {
    result.failure = concat("cuDNN crashed (", strsignal(WTERMSIG(status)), ") at ", begun);
  }
  return result;
}

struct Child {
  size_t number;  // of the case
  std::chrono::steady_clock::time_point begin;
};

}  // namespace

std::string PlanningCase::text() const {
  return concat(recipe, mode == Mode::training ? " training " : " evaluation ", name(precision),
                " sm_", architecture, tf32 ? "" : " without TF32");
}

std::string device_description(int architecture) {
  const std::map<int, std::string> files = {{75, "t4"}, {80, "a100"}, {90, "h100"}, {100, "b200"}};
  std::ifstream file(
      concat(LOCKSTEP_SOURCE_DIR "/tests/cuda/devices/", files.at(architecture), ".json"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

PlanRequest planning_request(const PlanningCase& what, Registry& registry) {
  const Recipe recipe = load_recipe(LOCKSTEP_SOURCE_DIR "/recipes/" + what.recipe, {}, registry);
  const OpenedData data = open_data(recipe, registry, DataUse::describe);
  PlanRequest request = plan_request(recipe, data, registry);
  request.mode = what.mode;
  request.precision = what.precision;
  request.batch_size = std::min(recipe.train.global_batch_size, kMostSamples);
  return request;
}

std::vector<std::string> all_recipes() {
  const fs::path root = LOCKSTEP_SOURCE_DIR "/recipes";
  std::vector<std::string> recipes;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".toml") continue;
    recipes.push_back(fs::relative(entry.path(), root).string());
  }
  std::sort(recipes.begin(), recipes.end());
  return recipes;
}

std::vector<PlanningResult> plan_cases(const std::vector<PlanningCase>& cases) {
  const test::TemporaryFolder folder;
  const auto path = [&](size_t number) { return folder / std::to_string(number); };
  std::vector<PlanningResult> results(cases.size());
  std::map<pid_t, Child> children;
  for (size_t next = 0; next < cases.size() || !children.empty();) {
    if (next < cases.size() && children.size() < kProcesses) {
      std::fflush(nullptr);
      const pid_t pid = fork();
      if (pid == 0) run_child(cases[next], path(next));
      children[pid] = {next++, std::chrono::steady_clock::now()};
      continue;
    }
    int status = 0;
    const pid_t pid = wait(&status);
    const Child child = children.at(pid);
    children.erase(pid);
    PlanningResult& result = results[child.number];
    result = read_report(cases[child.number], path(child.number), status);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - child.begin;
    result.seconds = time.count();
    fmt::print("{:.0f} s: {}: {}\n", result.seconds, result.what.text(),
               result.failure.empty() ? concat(result.graphs.size(), " graphs") : result.failure);
    std::fflush(stdout);
  }
  return results;
}

OpCasePlans plan_op_cases(DType dtype) {
  constexpr int kH100 = 90;
  cuda::CudaDevice device(device_description(kH100), {.tf32 = false});
  const OpRegistry& ops = test::test_ops();
  const std::vector<Layout> layouts = used_layouts(device, ops);
  OpCasePlans plans;
  const auto prepare = [&](const OpCase& op_case, const Graph& graph, const Node& node) {
    std::vector<TensorType> types;
    for (ValueId input : node.inputs) types.push_back(graph.type(input));
    try {
      for (Layout available : layouts) prepare_node(device, graph, node, types, available);
      ++plans.prepared;
    } catch (const Error& error) {
      plans.refused.push_back(concat(op_case.text, " | ", node.op, ": ", error.what()));
    }
  };
  for (const OpCase& op_case : op_cases()) {
    if (is_half(dtype) && !has_half_values(op_case)) continue;
    const CaseGraph graph = make_graph(op_case, ops, dtype);
    for (const Node& node : graph.graph->nodes()) {
      if (node.op == "input" || node.op == "all_reduce") continue;
      if (device.supports(node.op, node.attributes, dtype)) prepare(op_case, *graph.graph, node);
    }
  }
  return plans;
}

std::string summary_table(const std::vector<PlanningResult>& results) {
  struct Row {
    int64_t networks = 0, launches = 0, refused = 0, workspace = 0;
    std::set<std::string> graphs, compiled;
  };
  std::map<std::pair<int, std::string_view>, Row> rows;
  for (const PlanningResult& result : results) {
    Row& row = rows[{result.what.architecture, name(result.what.precision)}];
    ++row.networks;
    row.refused += result.failure.empty() ? 0 : 1;
    row.launches += result.launches;
    for (const PlannedGraph& graph : result.graphs) {
      row.graphs.insert(graph.label);
      if (graph.implementation.ends_with("compiled")) row.compiled.insert(graph.label);
      row.workspace = std::max(row.workspace, graph.workspace_bytes);
    }
  }
  std::string table =
      fmt::format("{:<8}{:<6}{:>9}{:>9}{:>10}{:>8}{:>10}{:>16}\n", "GPU", "type", "networks",
                  "refused", "launches", "graphs", "compiled", "workspace MiB");
  for (const auto& [key, row] : rows) {
    table += fmt::format("{:<8}{:<6}{:>9}{:>9}{:>10}{:>8}{:>10}{:>16.1f}\n",
                         fmt::format("sm_{}", key.first), key.second, row.networks, row.refused,
                         row.launches, row.graphs.size(), row.compiled.size(),
                         static_cast<double>(row.workspace) / (1 << 20));
  }
  return table;
}

bool has_null_driver() {
  void* const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return false;
  const bool is_ours = dlsym(driver, "lockstep_null_driver") != nullptr;
  dlclose(driver);
  return is_ours;
}

}  // namespace lockstep::testing
