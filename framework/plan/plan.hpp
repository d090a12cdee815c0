// A plan: everything about one (mode, batch shape) that can be decided before the first step.
// compile() makes it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/device.hpp"
#include "graph/nn.hpp"
#include "passes/passes.hpp"
#include "plan/parameters.hpp"

namespace lockstep {

class Registry;

// What is to be computed.
struct PlanRequest {
  Mode mode = Mode::training;
  int64_t batch_size = 1;
  Shape image;                    // (C, H, W)
  std::vector<double> mean, std;  // per channel, of images scaled to [0, 1]; empty: 0 and 1
  std::function<ModelOutput(Scope, Value image)> model;
  // The model with auxiliary heads, where they are an option that is off: given weights may have
  // them. Empty: the model itself.
  std::function<ModelOutput(Scope, Value image)> model_with_auxiliary = nullptr;
  // Of convolutions and what lies between them: f32, or a half type (passes/insert_casts.cpp).
  DType precision = DType::f32;
  double label_smoothing = 0;
  bool sync_batch_norm = false;
  int64_t bucket_bytes = 25 << 20;
  std::function<bool(std::string_view name)> trainable = [](std::string_view) { return true; };
  // If not 0, batches hold so many features of a frozen network, f32(N, F), in place of images.
  int64_t features = 0;

  // What a batch holds per sample, as uint8: the image, or the bytes of its features.
  Shape sample() const {
    return features == 0 ? image : Shape{1, 1, features * size_of(DType::f32)};
  }
};

// Features per sample of the model. Throws Error{usage} for a model that names none.
int64_t count_features(const PlanRequest& request, const OpRegistry& ops);

// One launch: a prepared kernel and where its arguments lie. A launch without kernel is an
// all_reduce among the ranks.
struct Launch {
  int32_t node;  // of Plan::graph
  std::unique_ptr<Kernel> kernel;
  std::vector<Address> inputs;
  std::vector<Address> outputs;
  int64_t constants = 0;  // offset in bytes in the plan's memory for constants
};

struct Plan {
  Mode mode;
  int64_t batch_size;
  Graph graph;                   // in launch order, layouts assigned
  std::vector<Launch> launches;  // of every node but inputs, parameters and buffers
  std::vector<Bucket> buckets;   // training: `after` counts launches here, not nodes
  MemoryPlan memory;
  int64_t workspace_bytes = 0;  // the largest a launch wants
  int64_t constant_bytes = 0;   // of all launches; see Kernel
  Address metrics;              // f64(5): see classification_metrics

  const Node& node(const Launch& launch) const {
    return graph.nodes()[static_cast<size_t>(launch.node)];
  }
  // One line per launch with addresses, then buckets and peak memory: the golden text of tests.
  std::string text() const;
  // What must be equal on all ranks: every collective of a step in order, with sizes.
  std::string collectives() const;
};

// The byte offsets of the inputs in the batch arena, for a batch of `capacity` images.
struct BatchLayout {
  int64_t images, labels, weights, indices, bytes;
};
BatchLayout batch_layout(int64_t capacity, const Shape& sample);

// Forward, loss and metrics: the model's graph as written, before any pass.
Graph build_graph(const PlanRequest& request, const OpRegistry& ops);
// The graph after differentiate (training) or after fold_batch_norm and fuse (evaluation).
Graph transform_graph(const PlanRequest& request, const OpRegistry& ops, const Supports& supports);

// A plan's graph and memory, from shapes alone: no kernel is prepared and no memory taken.
struct PlanShape {
  Graph graph;  // in launch order, layouts assigned
  MemoryPlan memory;
};
PlanShape shape_plan(const PlanRequest& request, const Registry& registry, const Device& device,
                     const ParameterLayout& layout);

// Runs the passes and asks the device to prepare every kernel. Errors of the model carry its
// labels.
Plan compile(const PlanRequest& request, const Registry& registry, Device& device,
             const ParameterLayout& layout);

}  // namespace lockstep
