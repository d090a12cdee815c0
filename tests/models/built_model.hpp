// A model over a batch of two images, for tests of what models build.
#pragma once

#include <string>
#include <vector>

#include "plugin/registry.hpp"

namespace lockstep::testing {

inline Registry& model_registry() {
  static Registry registry;
  return registry;
}

struct BuiltModel {
  BuiltModel(std::string_view name, const Setting::Table& options, Shape image, int64_t classes,
             Mode mode = Mode::training)
      : graph(mode, model_registry().ops()),
        output(model_registry().find_model(name).make(
            graph, graph.input("x", {DType::f32, {2, image[0], image[1], image[2]}}), classes,
            options)) {}

  std::vector<std::string> names(std::string_view op) const {
    std::vector<std::string> names;
    for (int32_t i : graph.find_all(op))
      names.push_back(graph.nodes()[static_cast<size_t>(i)].label);
    return names;
  }
  int64_t parameters() const {
    int64_t count = 0;
    for (int32_t i : graph.find_all("parameter")) count += graph.type({i, 0}).shape.numel();
    return count;
  }
  const Init& init(std::string_view parameter) const {
    const Node* node = graph.find("parameter", parameter);
    if (node == nullptr) fail(Failure::usage, "no parameter ", parameter);
    return node->attributes.as<ParameterAttributes>().init;
  }

  Graph graph;
  ModelOutput output;
};

inline Setting setting(Setting::Value value) { return {std::move(value), "test"}; }

// options({{"depth", int64_t{18}}})
inline Setting::Table options(std::initializer_list<std::pair<const char*, Setting::Value>> list) {
  Setting::Table table;
  for (const auto& [name, value] : list) table.push_back({name, "test", setting(value)});
  return table;
}

}  // namespace lockstep::testing
