// A plan as text: for people, for golden tests, and for the comparison of ranks.
#include <fmt/format.h>

#include <iterator>

#include "plan/plan.hpp"

namespace lockstep {
namespace {

std::string text(const Address& address) {
  return fmt::format("{}+{}", name(address.arena), address.offset);
}

std::string list(const std::vector<Address>& addresses) {
  std::string joined;
  for (const Address& address : addresses) joined += (joined.empty() ? "" : ", ") + text(address);
  return joined;
}

}  // namespace

std::string_view name(Arena arena) {
  constexpr std::string_view kNames[] = {"parameters", "gradients", "buffers",
                                         "batch",      "step",      "activations"};
  return kNames[static_cast<int>(arena)];
}

std::string Plan::text() const {
  std::string lines;
  const auto out = std::back_inserter(lines);
  fmt::format_to(out, "{} plan, batch size {}\n",
                 mode == Mode::training ? "training" : "evaluation", batch_size);
  for (size_t i = 0; i < launches.size(); ++i) {
    const Node& n = node(launches[i]);
    fmt::format_to(out, "{:4} {} [{}] ({}) -> ({})\n", i, n.op, n.label, list(launches[i].inputs),
                   list(launches[i].outputs));
  }
  for (size_t i = 0; i < buckets.size(); ++i) {
    fmt::format_to(out, "bucket {}: gradients[{} : {}] after launch {}\n", i, buckets[i].offset,
                   buckets[i].offset + buckets[i].count, buckets[i].after);
  }
  fmt::format_to(out, "activations: peak {} bytes, {} without reuse\n", memory.peak_bytes,
                 memory.sum_bytes);
  if (constant_bytes > 0) fmt::format_to(out, "constants: {} bytes\n", constant_bytes);
  return lines;
}

std::string Plan::collectives() const {
  std::string lines;
  const auto out = std::back_inserter(lines);
  for (const Launch& launch : launches) {
    const Node& n = node(launch);
    if (n.op == "all_reduce") fmt::format_to(out, "{} {}\n", n.label, n.outputs[0].text());
  }
  for (const Bucket& bucket : buckets)
    fmt::format_to(out, "bucket {}+{}\n", bucket.offset, bucket.count);
  return lines;
}

}  // namespace lockstep
