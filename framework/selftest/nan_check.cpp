#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.hpp"
#include "ops/attributes.hpp"
#include "selftest/checks.hpp"
#include "selftest/op_cases.hpp"
#include "selftest/op_runner.hpp"

namespace lockstep {
namespace {

constexpr int64_t kMostElements = 20'000;  // of a case's first input
constexpr const char* kName = "NaN stays NaN";

bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::f64 || is_half(dtype); }

// So that there are some in every part of it.
void put_nans(Tensor& tensor) {
  constexpr size_t kEvery = 13;
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const auto put = [](auto values, auto nan) {
    for (size_t i = 0; i < values.size(); i += kEvery) values[i] = nan;
  };
  switch (tensor.type().dtype) {
    case DType::bf16:
      return put(tensor.values<Bf16>(), from_float<Bf16>(kNaN));
    case DType::f16:
      return put(tensor.values<F16>(), from_float<F16>(kNaN));
    default:
      return put(tensor.values(), kNaN);
  }
}

// How many outputs hold a number where the oracle's do not. More NaNs than the oracle's are no
// fault: transforms spread them.
int64_t count_vanished(const NodeResult& found, const NodeResult& expected) {
  int64_t vanished = 0;
  for (size_t i = 0; i < found.outputs.size(); ++i) {
    if (!is_real(expected.outputs[i].type().dtype)) continue;
    const std::vector<double> a = found.outputs[i].numbers(), b = expected.outputs[i].numbers();
    for (size_t k = 0; k < a.size(); ++k) vanished += std::isnan(b[k]) && !std::isnan(a[k]) ? 1 : 0;
  }
  return vanished;
}

void check_case(const SelftestSubject& subject, const OpCase& op_case, DType dtype, CheckRow& row,
                SelftestReport& report) {
  const CaseGraph graph = make_graph(op_case, subject.registry.ops(), dtype);
  const auto& nodes = graph.graph->nodes();
  const auto own = std::find_if(nodes.begin(), nodes.end(),
                                [&](const Node& node) { return node.op == op_case.op; });
  if (!subject.has_kernel(*own, dtype)) return;

  std::map<std::string, Tensor> feeds = make_feeds(op_case, *graph.graph);
  put_nans(feeds.at(op_case.inputs[0].name));
  const std::vector<NodeResult> oracle = run_graph(subject.reference, *graph.graph, feeds);
  const NodeResult found = run_node(subject.device, *graph.graph, *own, inputs_of(*own, oracle),
                                    {.registry = &subject.registry});
  const auto number = static_cast<size_t>(own - nodes.begin());
  const int64_t vanished = count_vanished(found, oracle[number]);
  row.add(vanished == 0 ? 0 : INFINITY, 0);
  if (vanished == 0) return;
  report.failures.push_back(concat(
      kName, ": ", row.dtype, ", case \"", op_case.text, "\": ", vanished,
      " elements are numbers; expected NaN, as the reference's are (", found.implementation, ")"));
}

}  // namespace

void check_nans(const SelftestSubject& subject, SelftestReport& report) {
  if (!subject.wants(kName)) return;
  for (DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    CheckRow row{.name = kName, .dtype = std::string(name(dtype)), .note = {}};
    for (const OpCase& op_case : op_cases()) {
      const CaseInput& first = op_case.inputs[0];
      const bool integers = first.fill == "pixels" || first.fill == "labels";
      if (integers || first.shape.numel() > kMostElements) continue;
      // oneDNN's fused ReLU makes 0 of NaN: ops/attributes.hpp allows it where nothing is trained.
      if (op_case.op == "conv2d_inference" || op_case.op == "linear_inference") continue;
      if (is_half(dtype) && !has_half_values(op_case)) continue;
      check_case(subject, op_case, dtype, row, report);
    }
    if (row.cases > 0) report.rows.push_back(std::move(row));
  }
}

}  // namespace lockstep
