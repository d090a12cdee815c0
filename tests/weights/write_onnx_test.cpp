// The structure of ONNX files. That onnxruntime computes equal logits from them is shown by
// tests/goldens/check_exports.py.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "graph/pointwise.hpp"
#include "ops/attributes.hpp"
#include "plugin/registry.hpp"
#include "support/expect_error.hpp"
#include "support/small_graphs.hpp"
#include "weights/bytes.hpp"
#include "weights/write.hpp"

namespace lockstep::testing {
namespace {

// The fields of a message, by number: bytes of those with a length, else empty.
std::multimap<uint64_t, std::string_view> fields_of(std::string_view message) {
  std::multimap<uint64_t, std::string_view> fields;
  ByteReader in(message, "message");
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const uint8_t byte = in.u8();
      value |= uint64_t{byte & 127u} << shift;
      if (byte < 128) return value;
    }
  };
  while (in.left() > 0) {
    const uint64_t tag = varint();
    switch (tag & 7) {
      case 0:
        varint();
        fields.emplace(tag >> 3, "");
        break;
      case 2:
        fields.emplace(tag >> 3, in.take(varint()));
        break;
      case 5:
        fields.emplace(tag >> 3, in.take(4));
        break;
      default:
        ADD_FAILURE() << "wire type " << (tag & 7);
        return fields;
    }
  }
  return fields;
}

struct Onnx {
  std::vector<std::string> ops;
  std::set<std::string> initializers;
  std::string doc;

  explicit Onnx(const std::string& file) {
    const auto model = fields_of(file);
    doc = model.find(6)->second;
    const auto graph = fields_of(model.find(7)->second);
    std::set<std::string_view> known;
    for (auto [at, end] = graph.equal_range(5); at != end; ++at) {
      const auto tensor = fields_of(at->second);
      initializers.emplace(tensor.find(8)->second);
      EXPECT_TRUE(known.insert(tensor.find(8)->second).second) << "a name twice";
    }
    known.insert(fields_of(graph.find(11)->second).find(1)->second);
    for (auto [at, end] = graph.equal_range(1); at != end; ++at) {
      const auto node = fields_of(at->second);
      ops.emplace_back(node.find(4)->second);
      for (auto [in, last] = node.equal_range(1); in != last; ++in) {
        EXPECT_TRUE(known.contains(in->second)) << in->second << " is used before it is made";
      }
      EXPECT_TRUE(known.insert(node.find(2)->second).second) << "a name twice";
    }
    EXPECT_TRUE(known.contains("logits"));
  }
};

// Zeros for every parameter and buffer of a network.
Checkpoint zeros_for(const PlanRequest& wanted, const OpRegistry& ops) {
  PlanRequest request = wanted;
  request.mode = Mode::evaluation;
  const Graph graph = build_graph(request, ops);
  Checkpoint checkpoint;
  for (const char* op : {"parameter", "buffer"}) {
    TensorMap& map = op == std::string_view("buffer") ? checkpoint.buffers : checkpoint.parameters;
    for (int32_t number : graph.find_all(op)) {
      const Node& node = graph.nodes()[static_cast<size_t>(number)];
      const Shape& shape = node.outputs[0].shape;
      map[node.label] = {shape, std::vector<float>(static_cast<size_t>(shape.numel()))};
    }
  }
  return checkpoint;
}

Onnx exported(const PlanRequest& request, const OpRegistry& ops = framework_ops()) {
  return Onnx(onnx_bytes(request, ops, zeros_for(request, ops)));
}

PlanRequest request_of(std::function<ModelOutput(Scope, Value)> model, Shape image = {3, 8, 8}) {
  PlanRequest request;
  request.image = image;
  request.model = std::move(model);
  return request;
}

TEST(WriteOnnxTest, ANetworkHasItsNodesAndParameters) {
  const Onnx onnx = exported(residual_request());
  EXPECT_EQ(onnx.ops, (std::vector<std::string>{
                          "Conv", "BatchNormalization", "Relu", "Conv", "BatchNormalization", "Add",
                          "Relu", "GlobalAveragePool", "Reshape", "Gemm", "Identity"}));
  for (const char* name : {"conv1.weight", "bn1.running_var", "fc.weight", "fc.bias"}) {
    EXPECT_TRUE(onnx.initializers.contains(name)) << name;
  }
}

TEST(WriteOnnxTest, TheInputsScaleIsSaid) {
  PlanRequest request = residual_request();
  request.mean = {0.5, 0.25, 0.125};
  request.std = {1, 2, 4};
  const Onnx onnx = exported(request);
  EXPECT_NE(onnx.doc.find("mean 0.5, 0.25, 0.125 and std 1.0, 2.0, 4.0"), std::string::npos)
      << onnx.doc;
}

TEST(WriteOnnxTest, PoolsThatReachPastThePictureArePadded) {
  const auto ops_of = [](auto pool, const nn::Pool2d& options) {
    return exported(
               request_of([=](Scope, Value x) { return nn::flatten(pool(x, options)); }, {3, 7, 7}))
        .ops;
  };
  using Ops = std::vector<std::string>;
  const nn::Pool2d padded{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true};
  EXPECT_EQ(ops_of(nn::max_pool2d, padded), (Ops{"MaxPool", "Reshape", "Identity"}));
  EXPECT_EQ(ops_of(nn::avg_pool2d, padded), (Ops{"Pad", "AveragePool", "Reshape", "Identity"}));
}

TEST(WriteOnnxTest, BinsThatDoNotDivideThePictureAreProducts) {
  const auto ops_of = [](int64_t height, int64_t width) {
    return exported(request_of([=](Scope, Value x) {
             return nn::flatten(nn::adaptive_avg_pool2d(x, height, width));
           }))
        .ops;
  };
  using Ops = std::vector<std::string>;
  EXPECT_EQ(ops_of(4, 2), (Ops{"AveragePool", "Reshape", "Identity"}));
  EXPECT_EQ(ops_of(3, 2), (Ops{"MatMul", "MatMul", "Reshape", "Identity"}));
}

TEST(WriteOnnxTest, EveryModelCanBeExported) {
  Registry registry;
  int models = 0;
  for (const Registry::Listed& item : registry.list_all(nullptr)) {
    if (item.kind != Kind::model) continue;
    PlanRequest request;
    request.image = item.name == "lenet5" ? Shape{1, 28, 28} : Shape{3, 299, 299};
    if (item.name == "convnet" || item.name == "cifar_resnet") request.image = {3, 32, 32};
    request.model = [&](Scope scope, Value image) {
      return registry.find_model(item.name).make(std::move(scope), image, 5, {});
    };
    EXPECT_FALSE(exported(request, registry.ops()).ops.empty()) << item.name;
    ++models;
  }
  EXPECT_GE(models, 4);
}

TEST(WriteOnnxTest, AnOpThatOnnxHasNotIsNamed) {
  OpRegistry ops;
  add_framework_ops(ops);
  ops.add(pointwise_op("soft_square", {}));
  const PlanRequest request =
      request_of([](Scope, Value x) { return nn::flatten(nn::pointwise("soft_square", x)); });
  expect_error([&] { onnx_bytes(request, ops, {}); }, Failure::usage,
               "soft_square: ONNX has no such operator");
}

TEST(WriteOnnxTest, AReshapeAcrossTheBatchIsRefused) {
  // The samples go to another axis and come back.
  const PlanRequest request = request_of([](Scope s, Value x) {
    const Shape shape = x.shape();
    const auto reshape = [&](Value v, std::vector<int64_t> extents) {
      return s.graph().apply("reshape", {v}, Attributes::of(ReshapeAttributes{std::move(extents)}));
    };
    x = reshape(x, {shape[1], shape[0], shape[2] * shape[3]});
    return reshape(x, {shape[0], shape.numel() / shape[0]});
  });
  expect_error([&] { onnx_bytes(request, framework_ops(), {}); }, Failure::usage,
               "moves samples between axes");
}

TEST(WriteOnnxTest, AParameterThatIsNotInTheCheckpointIsNamed) {
  const PlanRequest request = residual_request();
  Checkpoint checkpoint = zeros_for(request, framework_ops());
  checkpoint.parameters["fc.bias"].shape = {5};
  expect_error([&] { onnx_bytes(request, framework_ops(), checkpoint); }, Failure::checkpoint,
               "'fc.bias' of (4) has the shape (5)");
  checkpoint.parameters.erase("conv1.weight");
  expect_error([&] { onnx_bytes(request, framework_ops(), checkpoint); }, Failure::checkpoint,
               "'conv1.weight' of (8, 3, 3, 3) is not in the checkpoint");
}

}  // namespace
}  // namespace lockstep::testing
