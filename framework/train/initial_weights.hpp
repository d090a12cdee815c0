// Weights from a file into a network: strictly, or with the exceptions that transfer learning asks
// for.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "plan/plan.hpp"
#include "plan/state.hpp"
#include "plugin/registry.hpp"
#include "weights/weights.hpp"

namespace lockstep {

// What the rules of loading need to know of a network.
struct NetworkParts {
  std::set<std::string> head;       // parameters of the layers that make logits
  std::set<std::string> auxiliary;  // parameters and buffers that training alone has
};
NetworkParts network_parts(const PlanRequest& request, const OpRegistry& ops);

// Whether the head is left as drawn.
enum class ReplaceHead : uint8_t { never, where_classes_differ, always };

struct WeightRules {
  bool strict = true;  // false: what does not fit is left as drawn
  ReplaceHead replace_head = ReplaceHead::never;
};

// What became of each tensor, by name.
struct WeightReport {
  struct Mismatch {
    std::string name;
    Shape file, model;
  };
  std::string origin;
  std::vector<std::string> loaded;
  std::vector<Mismatch> replaced;      // of the head
  std::vector<std::string> missing;    // in the file, and so left as drawn
  std::vector<Mismatch> other_shape;   // and so left as drawn
  std::vector<std::string> left_over;  // in the file alone
  std::vector<std::string> skipped;    // auxiliary heads in evaluation, counters of batches

  bool fits() const { return missing.empty() && other_shape.empty() && left_over.empty(); }
  std::string text() const;  // a table of a few lines
};

// Copies what fits into the state and leaves the rest as it is. Auxiliary heads may be absent on
// either side. Where something does not fit and rules.strict, throws Error{checkpoint} with the
// report and the likeliest model of the registry; and where a tensor holds infinity or NaN. Then
// nothing has changed.
WeightReport load_weights(State& state, const Weights& weights, const NetworkParts& parts,
                          const WeightRules& rules, Registry& registry);

}  // namespace lockstep
