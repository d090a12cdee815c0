// Small networks for tests of passes and plans.
#pragma once

#include "graph/nn.hpp"
#include "graph/op.hpp"
#include "plan/plan.hpp"

namespace lockstep::testing {

inline const OpRegistry& framework_ops() {
  static const OpRegistry ops = [] {
    OpRegistry registry;
    add_framework_ops(registry);
    return registry;
  }();
  return ops;
}

// One residual block and a classifier: conv, bn, relu, conv, bn, + shortcut, relu, pool, fc.
inline ModelOutput residual_model(Scope s, Value x) {
  x = nn::relu(
      nn::batch_norm(s / "bn1", nn::conv2d(s / "conv1", x, {.out = 8, .kernel = 3, .padding = 1})));
  Value y = nn::conv2d(s / "conv2", x, {.out = 8, .kernel = 3, .padding = 1});
  x = nn::relu(nn::batch_norm(s / "bn2", y) + x);
  return nn::linear(s / "fc", nn::global_avg_pool(x), {.out = 4});
}

inline PlanRequest residual_request(Mode mode = Mode::training, int64_t batch_size = 6) {
  PlanRequest request;
  request.mode = mode;
  request.batch_size = batch_size;
  request.image = {3, 8, 8};
  request.model = residual_model;
  return request;
}

inline int count_ops(const Graph& graph, std::string_view op) {
  return static_cast<int>(graph.find_all(op).size());
}

inline bool supports_everything(std::string_view, const Attributes&) { return true; }
inline bool supports_nothing_fused(std::string_view, const Attributes&) { return false; }

}  // namespace lockstep::testing
