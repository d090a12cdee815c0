// Names and shapes of all parameters and running statistics equal torchvision's
// (tests/goldens/networks_names.tsv, made by networks_names.py, which holds the same table), so
// that its weights load with no name map. They are compared part by part, by hashes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "base/random.hpp"
#include "models/built_model.hpp"

namespace lockstep::testing {
namespace {

struct Part {
  std::vector<std::string> lines;  // "name (shape)"
  int64_t tensors = 0, parameters = 0;
  std::string hash;
};
using Parts = std::map<std::string, Part>;

Parts read_parts(const std::string& network) {
  Parts parts;
  std::ifstream file(LOCKSTEP_SOURCE_DIR "/tests/goldens/networks_names.tsv");
  for (std::string line; std::getline(file, line);) {
    std::stringstream words(line);
    std::string name, part_name;
    Part part;
    words >> name >> part_name >> part.tensors >> part.parameters >> part.hash;
    if (name == network) parts[part_name] = part;
  }
  return parts;
}

Parts parts_of(const Graph& graph) {
  Parts parts;
  for (const Node& node : graph.nodes()) {
    if (node.op != "parameter" && node.op != "buffer") continue;
    const Shape& shape = node.outputs[0].shape;
    Part& part = parts[node.label.substr(0, node.label.find('.'))];
    part.lines.push_back(fmt::format("{} ({})", node.label, fmt::join(shape, ", ")));
    ++part.tensors;
    if (node.op == "parameter") part.parameters += shape.numel();
  }
  for (auto& [name, part] : parts) {
    std::sort(part.lines.begin(), part.lines.end());
    part.hash = fmt::format("{:08x}", hash_name(fmt::format("{}", fmt::join(part.lines, "\n"))));
  }
  return parts;
}

struct Network {
  std::string name;
  std::string model;
  Setting::Table options;
  int64_t parameters;  // as torchvision's documentation says
  int64_t side = 64;
};

Network vgg(int64_t depth, bool batch_norm, int64_t parameters) {
  return {concat("vgg", depth, batch_norm ? "_bn" : ""), "vgg",
          options({{"depth", depth}, {"batch_norm", batch_norm}}), parameters};
}
Network resnet(std::string name, int64_t depth, int64_t parameters, int64_t groups = 1,
               int64_t width = 64) {
  return {std::move(name), "resnet",
          options({{"depth", depth}, {"groups", groups}, {"width_per_group", width}}), parameters};
}

const std::vector<Network>& networks() {
  static const std::vector<Network> networks = {
      {"alexnet", "alexnet", {}, 61'100'840},
      vgg(11, false, 132'863'336),
      vgg(11, true, 132'868'840),
      vgg(13, false, 133'047'848),
      vgg(13, true, 133'053'736),
      vgg(16, false, 138'357'544),
      vgg(16, true, 138'365'992),
      vgg(19, false, 143'667'240),
      vgg(19, true, 143'678'248),
      {"googlenet", "googlenet", {}, 13'004'888},
      {"inception_v3", "inception_v3", {}, 27'161'264, 299},
      resnet("resnet18", 18, 11'689'512),
      resnet("resnet34", 34, 21'797'672),
      resnet("resnet50", 50, 25'557'032),
      resnet("resnet101", 101, 44'549'160),
      resnet("resnet152", 152, 60'192'808),
      resnet("resnext50_32x4d", 50, 25'028'904, 32, 4),
      resnet("resnext101_32x8d", 101, 88'791'336, 32, 8),
      resnet("wide_resnet50_2", 50, 68'883'240, 1, 128),
      resnet("wide_resnet101_2", 101, 126'886'696, 1, 128),
  };
  return networks;
}

class TorchvisionNamesTest : public ::testing::TestWithParam<size_t> {};

TEST_P(TorchvisionNamesTest, AndShapesAreTheSame) {
  const Network& network = networks()[GetParam()];
  const BuiltModel model(network.model, network.options, {3, network.side, network.side}, 1000);
  EXPECT_EQ(model.parameters(), network.parameters);
  const Parts expected = read_parts(network.name);
  ASSERT_FALSE(expected.empty()) << "not in networks_names.tsv; make it with networks_names.py";
  const Parts actual = parts_of(model.graph);
  EXPECT_EQ(actual.size(), expected.size());
  for (const auto& [name, part] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    const Part& own = actual.at(name);
    EXPECT_EQ(own.tensors, part.tensors) << name;
    EXPECT_EQ(own.parameters, part.parameters) << name;
    EXPECT_EQ(own.hash, part.hash) << name << ":\n"
                                   << fmt::format("{}", fmt::join(own.lines, "\n"));
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, TorchvisionNamesTest,
                         ::testing::Range<size_t>(0, networks().size()),
                         [](const auto& info) { return networks()[info.param].name; });

}  // namespace
}  // namespace lockstep::testing
