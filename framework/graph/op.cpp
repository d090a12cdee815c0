#include "graph/op.hpp"

#include "base/text.hpp"

namespace lockstep {

Value GradientContext::apply(std::string_view op, std::vector<Value> in, Attributes attributes,
                             std::string_view suffix) const {
  return graph.apply(op, std::move(in), std::move(attributes), concat(node.label, '/', suffix));
}

void OpRegistry::add(OpDef op) {
  if (op.name == "input" || op.name == "parameter" || op.name == "buffer") {
    fail(Failure::usage, "op ", op.name,
         ": the graph itself makes nodes of this name; choose another name");
  }
  LS_ASSERT(op.infer != nullptr);
  std::string name = op.name;
  if (!ops_.try_emplace(name, std::move(op)).second) {
    fail(Failure::usage, "op ", name, ": registered twice; every op has a name of its own; ",
         "rename one of the two");
  }
}

const OpDef* OpRegistry::find(std::string_view name) const {
  const auto it = ops_.find(name);
  return it == ops_.end() ? nullptr : &it->second;
}

const OpDef& OpRegistry::at(std::string_view name) const {
  if (const OpDef* op = find(name)) return *op;
  std::vector<std::string> known;
  for (const auto& [op, definition] : ops_) known.push_back(op);
  fail(Failure::usage, "op ", name, ": is not registered; `lockstep list op` shows the known ones",
       did_you_mean(name, known));
}

}  // namespace lockstep
