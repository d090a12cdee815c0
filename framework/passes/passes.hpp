// The passes: each is a function Graph -> Graph, or Graph -> facts, in a file of its own, tested
// alone.
//
// compile() runs them in this order: freeze_batch_norm, cut_at_features, synchronize_batch_norm (in
// training) or fold_batch_norm (in evaluation), fuse, insert_casts (with mixed precision),
// differentiate, assign_layouts, order_launches, insert_all_reduce, plan_memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.hpp"

namespace lockstep {

class Device;
struct ParameterLayout;

// batch_norm -> batch_norm_inference where neither its weight nor its bias is trainable. Must run
// before the passes that rewrite batch norms.
Graph freeze_batch_norm(const Graph& graph,
                        const std::function<bool(std::string_view name)>& trainable);

// The output `features` becomes an input of this name; what leads to it goes. Throws Error{usage}
// where the features are not constant or something else needs the picture. Must run after
// freeze_batch_norm.
Graph cut_at_features(const Graph& graph,
                      const std::function<bool(std::string_view name)>& trainable);

// batch_norm -> batch_moments, all_reduce, batch_norm_apply: the moments of the global batch (Peng
// et al., arXiv:1711.07240, section 3.2). Must run before fuse.
Graph synchronize_batch_norm(const Graph& graph);

// batch_norm + relu and batch_norm + add + relu (in both modes) become one batch_norm, where the
// value between has no other use and the device has the fused kernel.
using Supports = std::function<bool(std::string_view op, const Attributes&)>;
Graph fuse(const Graph& graph, const Supports& supports);

// For evaluation: conv2d + batch_norm_inference + add + relu, and linear + relu, whatever of these
// there is, become one conv2d_inference or linear_inference, whose weights a device folds and packs
// once. Where the values between have no other use, weights and moments are parameters and buffers,
// and the device has the op. Must run before fuse, which serves the batch norms that are left.
Graph fold_batch_norm(const Graph& graph, const Supports& supports);

// Mixed precision: convolutions and linear layers compute in `half`, bf16 or f16, and what lies
// between them follows, wherever the device supports the op in it; parameters, moments, loss and
// all outputs stay f32. Casts appear where types meet. Must run after fuse and before
// differentiate.
Graph insert_casts(const Graph& graph, DType half, const Supports& supports);

// Appends the gradient of the output `loss`, seeded with the input "loss_scale", and one output
// Role::gradient per trainable parameter, in the order in which they are computed. Makes no node
// that no trainable parameter needs. Throws Error{usage} naming an op that has no gradient.
Graph differentiate(const Graph& graph,
                    const std::function<bool(std::string_view name)>& trainable);

// Gives every value the layout its device wishes and inserts reorders between differing wishes.
// Inputs, parameters and outputs stay plain.
Graph assign_layouts(const Graph& graph, const Device& device);

// Drops what no output needs and puts the nodes into the order in which they will be launched.
Graph order_launches(const Graph& graph);

// A slice of the gradient arena that is reduced over the ranks as soon as node `after` has run.
struct Bucket {
  int64_t offset;  // in elements
  int64_t count;
  int32_t after;  // node number; the last of those that write into the slice
};
// Buckets of about `bucket_bytes`, whole tensors, in the order of the arena and so of backward. The
// last one takes in the statistics.
std::vector<Bucket> insert_all_reduce(const Graph& graph, const ParameterLayout& layout,
                                      int64_t bucket_bytes);

// Which memory a value lies in.
enum class Arena : uint8_t { parameters, gradients, buffers, batch, step, activations };
std::string_view name(Arena arena);

struct Address {
  Arena arena = Arena::activations;
  int64_t offset = 0;  // in bytes
};

struct MemoryPlan {
  std::map<ValueId, Address> addresses;  // of every value
  int64_t peak_bytes = 0;                // of the activations arena
  int64_t sum_bytes = 0;                 // what it would take without reuse
};
// `fixed`: values that lie elsewhere than in the activations arena. Values whose lives do not meet
// may share memory, and an op's output may take its input's where the op says so.
MemoryPlan plan_memory(const Graph& graph, const std::map<ValueId, Address>& fixed);
// Throws the programmer's assertion if two values that live at the same time overlap without being
// allowed to.
void verify_memory_plan(const Graph& graph, const MemoryPlan& plan);

}  // namespace lockstep
