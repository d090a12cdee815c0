// Places values into the activations arena so that those whose lives do not meet share memory.
//
// Values that an op may overwrite in place form one storage. Storages are placed from the largest
// to the smallest, each at the lowest offset that is free for all its life: "greedy by size",
// Pisarchyk and Lee, arXiv:2001.03288, section 5.2.
#include <algorithm>
#include <optional>

#include "graph/op.hpp"
#include "passes/passes.hpp"

namespace lockstep {
namespace {

constexpr int64_t kAlignment = 64;

struct Storage {
  int32_t begin;  // node numbers, both included
  int32_t end;
  int64_t bytes;
  int64_t offset = -1;
  bool meets(const Storage& other) const { return begin <= other.end && other.begin <= end; }
};

class MemoryPlanner {
 public:
  MemoryPlanner(const Graph& graph, const std::map<ValueId, Address>& fixed)
      : graph_(graph), fixed_(fixed), kept_(static_cast<int32_t>(graph.nodes().size())) {
    find_last_uses();
    make_storages();
    place_storages();
  }

  MemoryPlan finish() const {
    MemoryPlan plan;
    plan.addresses = fixed_;
    for (const auto& [value, storage] : storage_of_) {
      plan.addresses[value] = {Arena::activations, storages_[storage].offset};
      plan.sum_bytes += aligned(graph_.type(value).bytes());
    }
    for (const Storage& s : storages_)
      plan.peak_bytes = std::max(plan.peak_bytes, s.offset + s.bytes);
    return plan;
  }

 private:
  static int64_t aligned(int64_t bytes) {
    return (std::max<int64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  }

  void find_last_uses() {
    for (int32_t i = 0; i < kept_; ++i) {
      const Node& node = graph_.nodes()[static_cast<size_t>(i)];
      for (ValueId input : node.inputs) last_use_[input] = i;
      for (int32_t port = 0; port < static_cast<int32_t>(node.outputs.size()); ++port) {
        last_use_[{i, port}] = i;
      }
    }
    for (const Output& output : graph_.outputs()) last_use_[output.value] = kept_;
  }

  void make_storages() {
    for (int32_t i = 0; i < kept_; ++i) {
      const Node& node = graph_.nodes()[static_cast<size_t>(i)];
      for (int32_t port = 0; port < static_cast<int32_t>(node.outputs.size()); ++port) {
        const ValueId value{i, port};
        if (fixed_.contains(value)) continue;
        const int32_t end = last_use_.at(value);
        if (const auto inherited = overwritten_storage(node, i, port)) {
          storages_[*inherited].end = end;
          storage_of_[value] = *inherited;
        } else {
          storage_of_[value] = storages_.size();
          storages_.push_back({i, end, aligned(graph_.type(value).bytes())});
        }
      }
    }
  }

  // The storage of an input that dies here and may be overwritten by this output.
  std::optional<size_t> overwritten_storage(const Node& node, int32_t number, int32_t port) const {
    const OpDef* op = graph_.ops().find(node.op);
    if (op == nullptr) return {};
    for (const InPlace& in_place : op->in_place) {
      if (in_place.output != port || static_cast<size_t>(in_place.input) >= node.inputs.size())
        continue;
      const ValueId input = node.inputs[static_cast<size_t>(in_place.input)];
      const auto storage = storage_of_.find(input);
      if (storage == storage_of_.end() || last_use_.at(input) != number) continue;
      if (std::count(node.inputs.begin(), node.inputs.end(), input) != 1) continue;
      if (graph_.type(input).bytes() != node.outputs[static_cast<size_t>(port)].bytes()) continue;
      if (storages_[storage->second].end != number) continue;  // already handed on
      return storage->second;
    }
    return {};
  }

  void place_storages() {
    std::vector<size_t> order(storages_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return storages_[a].bytes > storages_[b].bytes; });
    std::vector<size_t> placed;  // by offset
    for (size_t number : order) {
      Storage& storage = storages_[number];
      storage.offset = 0;
      for (size_t other : placed) {
        const Storage& s = storages_[other];
        if (!s.meets(storage)) continue;
        if (storage.offset + storage.bytes <= s.offset) break;
        storage.offset = std::max(storage.offset, s.offset + s.bytes);
      }
      const auto place = std::upper_bound(
          placed.begin(), placed.end(), storage.offset,
          [&](int64_t offset, size_t other) { return offset < storages_[other].offset; });
      placed.insert(place, number);
    }
  }

  const Graph& graph_;
  const std::map<ValueId, Address>& fixed_;
  const int32_t kept_;  // the "node" after the last: results live until there
  std::map<ValueId, int32_t> last_use_;
  std::map<ValueId, size_t> storage_of_;
  std::vector<Storage> storages_;
};

// Whether `later` overwrites `earlier` as its op allows, directly or through values in between.
bool overwrites(const Graph& graph, const MemoryPlan& plan, ValueId earlier, ValueId later) {
  const Node& node = graph.node(later);
  const OpDef* op = graph.ops().find(node.op);
  if (op == nullptr) return false;
  for (const InPlace& in_place : op->in_place) {
    if (in_place.output != later.port || static_cast<size_t>(in_place.input) >= node.inputs.size())
      continue;
    const ValueId input = node.inputs[static_cast<size_t>(in_place.input)];
    const Address &a = plan.addresses.at(input), &b = plan.addresses.at(later);
    if (a.arena == b.arena && a.offset == b.offset && input == earlier) return true;
  }
  return false;
}

}  // namespace

MemoryPlan plan_memory(const Graph& graph, const std::map<ValueId, Address>& fixed) {
  return MemoryPlanner(graph, fixed).finish();
}

void verify_memory_plan(const Graph& graph, const MemoryPlan& plan) {
  const auto count = static_cast<int32_t>(graph.nodes().size());
  std::map<ValueId, int32_t> last_use;
  for (int32_t i = 0; i < count; ++i) {
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    for (ValueId input : node.inputs) last_use[input] = i;
    for (int32_t p = 0; p < static_cast<int32_t>(node.outputs.size()); ++p) last_use[{i, p}] = i;
  }
  for (const Output& output : graph.outputs()) last_use[output.value] = count;

  // Each write is checked against everything that is still to be read.
  std::vector<ValueId> live;
  for (int32_t i = 0; i < count; ++i) {
    std::erase_if(live, [&](ValueId value) { return last_use.at(value) < i; });
    const Node& node = graph.nodes()[static_cast<size_t>(i)];
    for (int32_t p = 0; p < static_cast<int32_t>(node.outputs.size()); ++p) {
      const ValueId value{i, p};
      const Address& mine = plan.addresses.at(value);
      const int64_t bytes = graph.type(value).bytes();
      if (mine.arena == Arena::activations) LS_ASSERT(mine.offset + bytes <= plan.peak_bytes);
      for (ValueId other : live) {
        const Address& theirs = plan.addresses.at(other);
        const bool overlap = mine.arena == theirs.arena &&
                             mine.offset < theirs.offset + graph.type(other).bytes() &&
                             theirs.offset < mine.offset + bytes;
        const bool allowed = last_use.at(other) == i && overwrites(graph, plan, other, value);
        LS_ASSERT(!overlap || allowed);
      }
      live.push_back(value);
    }
  }
}

}  // namespace lockstep
