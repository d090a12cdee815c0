#include <algorithm>
#include <map>
#include <set>

#include "base/text.hpp"
#include "ops/attributes.hpp"
#include "selftest/checks.hpp"
#include "selftest/compare.hpp"
#include "selftest/op_cases.hpp"
#include "selftest/op_runner.hpp"

namespace lockstep {
namespace {

// Errors relative to the whole tensor. Winograd's transforms lose digits. The last bit of a bf16 is
// worth 2^-8, of an f16 2^-11: some elements are rounded to the other side.
double tolerance_of(DType dtype, const NodeResult& result) {
  const bool winograd = result.implementation.find("wino") != std::string::npos;
  if (dtype == DType::bf16) return 1e-2;
  if (dtype == DType::f16) return 2e-3;
  return winograd ? 1e-4 : 1e-5;
}
// Multiply-adds of a forward case that --quick and half precision still run.
constexpr int64_t kQuickMultiplyAdds = 1'000'000;

// Whether a batch norm hands its gradient a mask. The order of its bits is the device's own: the
// mask goes from one to the other, and what comes of it is compared.
bool is_masked(const Node& node) {
  return (node.op == "batch_norm" || node.op == "batch_norm_grad") &&
         node.attributes.as<BatchNormAttributes>().mask;
}

// One case on the device, node by node.
class CaseCheck {
 public:
  CaseCheck(const SelftestSubject& subject, const std::vector<Layout>& layouts,
            const OpCase& op_case, DType dtype, CheckRow& row, SelftestReport& report)
      : subject_(subject),
        layouts_(layouts),
        op_case_(op_case),
        dtype_(dtype),
        row_(row),
        report_(report) {}

  void run() {
    const CaseGraph graph = make_graph(op_case_, subject_.registry.ops(), dtype_);
    const std::vector<NodeResult> oracle =
        run_graph(subject_.reference, *graph.graph, make_feeds(op_case_, *graph.graph));
    for (size_t i = 0; i < oracle.size(); ++i) {
      const Node& node = graph.graph->nodes()[i];
      if (node.op == "input" || node.op == "all_reduce") continue;
      if (!subject_.has_kernel(node, dtype_)) {
        absent_ = absent_ || node.op == op_case_.op;
        continue;
      }
      check_layouts(*graph.graph, node, inputs_of(node, oracle), oracle[i].outputs);
    }
  }

  // Whether the device has no kernel for the op itself as the case has it.
  bool absent() const { return absent_; }

 private:
  using Inputs = std::vector<const Tensor*>;

  void check_layouts(const Graph& graph, const Node& node, const Inputs& inputs,
                     const std::vector<Tensor>& expected) {
    std::set<std::pair<std::vector<Layout>, std::vector<Layout>>> seen;
    for (Layout available : layouts_) {
      const LayoutChoice choice = choose_layouts(subject_.device, graph, node, available);
      if (!seen.emplace(choice.inputs, choice.outputs).second) continue;
      Inputs given = inputs;
      if (is_masked(node) && node.op == "batch_norm_grad") {
        const auto mask = masks_.find(choice.inputs[0]);
        if (mask == masks_.end()) continue;  // its batch norm has failed
        given.back() = &mask->second;
      }
      where_ = concat(node.op, " \"", node.label, "\" with inputs in ", name(available));
      try {
        NodeResult result = run(graph, node, given, available, nullptr);
        if (is_masked(node) && node.op == "batch_norm") {
          masks_[choice.inputs[0]] = std::move(result.outputs.back());
          result.outputs.pop_back();
        }
        check_outputs(result, expected);
        if (!subject_.quick) check_in_place(graph, node, given, available, result);
      } catch (const Error& error) {
        wrong(concat("raised an error; expected a result: ", error.what()));
      }
    }
  }

  NodeResult run(const Graph& graph, const Node& node, const Inputs& inputs, Layout available,
                 const InPlace* in_place) {
    return run_node(subject_.device, graph, node, inputs,
                    {.available = available, .in_place = in_place, .registry = &subject_.registry});
  }

  void check_outputs(const NodeResult& result, const std::vector<Tensor>& expected) {
    for (size_t i = 0; i < result.outputs.size(); ++i) {
      const double tolerance = tolerance_of(expected[i].type().dtype, result);
      const Difference difference = compare(result.outputs[i], expected[i]);
      row_.add(difference.error, tolerance);
      if (difference.error <= tolerance) continue;
      wrong(concat("output ", i, ", ", difference.text(), " (the tensor is off by ",
                   float_text(difference.error), " of its norm, allowed is ", float_text(tolerance),
                   "; ", result.implementation, ")"));
    }
    if (!result.padding_is_zero) wrong("channels that fill the last block are not zero");
    if (!result.repeats) wrong("a second launch gave other bits than the first");
  }

  void check_in_place(const Graph& graph, const Node& node, const Inputs& inputs, Layout available,
                      const NodeResult& apart) {
    for (const InPlace& in_place : graph.ops().at(node.op).in_place) {
      if (static_cast<size_t>(in_place.input) >= inputs.size()) continue;
      if (static_cast<size_t>(in_place.output) >= node.outputs.size()) continue;
      const NodeResult result = run(graph, node, inputs, available, &in_place);
      for (size_t i = 0; i < std::min(result.outputs.size(), apart.outputs.size()); ++i) {
        const Difference difference = compare(result.outputs[i], apart.outputs[i]);
        if (difference.error > 0) {
          wrong(concat("output ", i, " written over input ", in_place.input, ", ",
                       difference.text()));
        }
      }
    }
  }

  void wrong(const std::string& what) {
    row_.outcome = CheckRow::Outcome::fail;
    report_.failures.push_back(concat(row_.name, ": ", row_.dtype, ", case \"", op_case_.text,
                                      "\", ", where_, ": ", what));
  }

  const SelftestSubject& subject_;
  const std::vector<Layout>& layouts_;
  const OpCase& op_case_;
  DType dtype_;
  CheckRow& row_;
  SelftestReport& report_;
  std::map<Layout, Tensor> masks_;  // of the batch norm, in the device's order of that layout
  std::string where_;
  bool absent_ = false;
};

int64_t multiply_adds(const OpCase& op_case, const OpRegistry& ops) {
  const OpDef& op = ops.at(op_case.op);
  if (op.multiply_adds == nullptr) return 0;
  const CaseGraph graph = make_graph(op_case, ops);
  std::vector<TensorType> types;
  for (const Value& input : graph.inputs) types.push_back(input.type());
  return op.multiply_adds(types, graph.output.type(), op_case.attributes);
}

// The cases of one op in one type.
void check_op(const SelftestSubject& subject, const std::vector<Layout>& layouts,
              const std::string& op, DType dtype, SelftestReport& report) {
  CheckRow row{.name = op, .dtype = std::string(name(dtype)), .note = {}};
  int64_t ran = 0, absent = 0;
  for (const OpCase& op_case : op_cases()) {
    if (op_case.op != op || (is_half(dtype) && !has_half_values(op_case))) continue;
    const bool large = multiply_adds(op_case, subject.registry.ops()) > kQuickMultiplyAdds;
    if (large && (subject.quick || is_half(dtype))) continue;
    CaseCheck check(subject, layouts, op_case, dtype, row, report);
    check.run();
    ++ran;
    if (check.absent()) ++absent;
  }
  if (ran == 0) return;  // the op has no such values
  if (absent > 0) row.note = concat("no kernel for ", absent, absent == 1 ? " case" : " cases");
  if (absent == ran) row.outcome = CheckRow::Outcome::not_supported;
  report.rows.push_back(std::move(row));
}

}  // namespace

void check_ops(const SelftestSubject& subject, SelftestReport& report) {
  std::vector<std::string> ops;  // as the file has them
  for (const OpCase& op_case : op_cases()) {
    if (std::find(ops.begin(), ops.end(), op_case.op) == ops.end()) ops.push_back(op_case.op);
  }
  const std::vector<Layout> layouts = used_layouts(subject.device, subject.registry.ops());
  for (DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    if (!subject.device.supports("conv2d", Attributes::of(Conv2dAttributes{}), dtype)) {
      if (!subject.wants("all ops")) continue;
      report.rows.push_back({.name = "all ops",
                             .dtype = std::string(name(dtype)),
                             .outcome = CheckRow::Outcome::not_supported,
                             .note = "this device does not compute convolutions in it"});
      continue;
    }
    for (const std::string& op : ops) {
      if (subject.wants(op)) check_op(subject, layouts, op, dtype, report);
    }
  }
}

}  // namespace lockstep
