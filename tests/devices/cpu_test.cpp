// The cpu device: what oneDNN is made to choose for the built-in models, layouts, threads. What its
// kernels compute is tested in conformance/.
#include <gtest/gtest.h>

#include <algorithm>

#include "ops/attributes.hpp"
#include "plan/plan.hpp"
#include "plugin/registry.hpp"

namespace lockstep::testing {
namespace {

Registry& registry() {
  static Registry registry;
  return registry;
}

Device& cpu() {
  static const std::unique_ptr<Device> device = registry().find_device("cpu").make({.threads = 2});
  return *device;
}

bool has_avx512() { return cpu().description().find("avx512") != std::string::npos; }

// The layout of images between convolutions: it follows from the instruction set.
Layout blocked_layout() {
  if (has_avx512()) return Layout::nchw16c;
  const bool avx2 = cpu().description().find("avx2") != std::string::npos;
  return avx2 ? Layout::nchw8c : Layout::plain;
}

struct ModelCase {
  std::string title;
  std::string model;
  Setting::Table options;
  Shape image;
  int64_t batch;
};

Setting::Entry option(std::string key, Setting::Value value) {
  return {std::move(key), "", {std::move(value), ""}};
}

const std::vector<ModelCase>& model_cases() {
  static const std::vector<ModelCase> cases{
      {"resnet18_small_images",
       "resnet",
       {option("depth", int64_t{18}), option("small_images", true)},
       {3, 32, 32},
       128},
      {"resnet18", "resnet", {option("depth", int64_t{18})}, {3, 224, 224}, 32},
      {"resnet50", "resnet", {option("depth", int64_t{50})}, {3, 224, 224}, 16},
      {"cifar_resnet20", "cifar_resnet", {}, {3, 32, 32}, 128},
      {"convnet", "convnet", {}, {1, 28, 28}, 128},
      {"lenet5", "lenet5", {}, {1, 28, 28}, 128},
      {"alexnet", "alexnet", {}, {3, 224, 224}, 4},
      {"vgg11_bn",
       "vgg",
       {option("depth", int64_t{11}), option("batch_norm", true)},
       {3, 224, 224},
       4},
      {"googlenet", "googlenet", {}, {3, 224, 224}, 4},
      {"inception_v3", "inception_v3", {}, {3, 299, 299}, 4},
      {"resnext50",
       "resnet",
       {option("groups", int64_t{32}), option("width_per_group", int64_t{4})},
       {3, 224, 224},
       4},
      {"wide_resnet50", "resnet", {option("width_per_group", int64_t{128})}, {3, 224, 224}, 4}};
  return cases;
}

Plan make_plan(const ModelCase& model_case, int64_t batch, Mode mode,
               DType precision = DType::f32) {
  PlanRequest request;
  request.mode = mode;
  request.batch_size = batch;
  request.image = model_case.image;
  const ModelEntry& entry = registry().find_model(model_case.model);
  request.model = [&](Scope s, Value image) {
    return entry.make(s, image, 10, model_case.options);
  };
  const Supports supports = [](std::string_view op, const Attributes& attributes) {
    return cpu().supports(op, attributes, DType::f32);
  };
  const ParameterLayout layout =
      layout_parameters(transform_graph(request, registry().ops(), supports));
  request.precision = precision;
  return compile(request, registry(), cpu(), layout);
}

bool is_product(const Node& node) {
  return node.op.starts_with("conv2d") || node.op.starts_with("linear");
}

class CpuModelTest : public ::testing::TestWithParam<size_t> {
 protected:
  const ModelCase& model_case() const { return model_cases()[GetParam()]; }
};

TEST_P(CpuModelTest, NeverUsesOneDnnsReferenceLoops) {
  for (Mode mode : {Mode::training, Mode::evaluation}) {
    for (int64_t batch : {model_case().batch, int64_t{1}}) {
      const Plan plan = make_plan(model_case(), batch, mode);
      for (const Launch& launch : plan.launches) {
        const Node& node = plan.node(launch);
        if (launch.kernel == nullptr || !is_product(node)) continue;
        const std::string implementation(launch.kernel->implementation());
        EXPECT_FALSE(implementation.empty()) << node.label;
        EXPECT_EQ(implementation.find("ref"), std::string::npos)
            << node.label << ", batch " << batch << ": " << implementation;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, CpuModelTest, ::testing::Range<size_t>(0, model_cases().size()),
                         [](const auto& info) { return model_cases()[info.param].title; });

bool computes_bf16() {
  return cpu().supports("conv2d", Attributes::of(Conv2dAttributes{}), DType::bf16);
}

// Products of linear layers are oneDNN's "gemm" in every type, so their name tells nothing.
TEST(CpuDeviceTest, ComputesConvolutionsOfBf16ByTheProcessorsOwnInstructions) {
  if (!computes_bf16()) {
    GTEST_SKIP() << "needs AVX512_BF16 or AMX; this is " << cpu().description();
  }
  for (const ModelCase& model_case : model_cases()) {
    for (Mode mode : {Mode::training, Mode::evaluation}) {
      const Plan plan = make_plan(model_case, 8, mode, DType::bf16);
      for (const Launch& launch : plan.launches) {
        const Node& node = plan.node(launch);
        if (launch.kernel == nullptr || !node.op.starts_with("conv2d")) continue;
        const std::string implementation(launch.kernel->implementation());
        EXPECT_NE(implementation.find("bf16"), std::string::npos)
            << model_case.title << ' ' << node.op << ' ' << node.label << ": " << implementation;
      }
    }
  }
}

TEST(CpuDeviceTest, KeepsBf16ImagesBlockedThroughoutResNet) {
  if (!computes_bf16()) {
    GTEST_SKIP() << "needs AVX512_BF16 or AMX; this is " << cpu().description();
  }
  const Plan plan = make_plan(model_cases()[0], 8, Mode::training, DType::bf16);
  for (const Node& node : plan.graph.nodes()) EXPECT_NE(node.op, "reorder") << node.label;
}

TEST(CpuDeviceTest, HasNoFp16) {
  for (const char* op : {"conv2d", "add", "cast"}) {
    EXPECT_FALSE(cpu().supports(op, {}, DType::f16)) << op;
    EXPECT_TRUE(cpu().supports(op, {}, DType::f32)) << op;
  }
}

TEST(CpuDeviceTest, KeepsImagesBlockedThroughoutResNet) {
  if (blocked_layout() == Layout::plain) GTEST_SKIP() << "needs AVX2: else all layouts are plain";
  const Plan plan = make_plan(model_cases()[0], 8, Mode::training);
  for (const Node& node : plan.graph.nodes()) {
    EXPECT_NE(node.op, "reorder") << node.label;
    if (node.op != "conv2d" && node.op != "batch_norm" && node.op != "batch_norm_grad") continue;
    EXPECT_EQ(node.outputs[0].layout, blocked_layout()) << node.op << ' ' << node.label;
  }
}

TEST(CpuDeviceTest, ReadsPlainPicturesOfThreeChannelsInAFirstConvolution) {
  for (const ModelCase& model_case : model_cases()) {
    if (model_case.image[0] != 3) continue;
    // For 11x11 with AVX2 oneDNN 2.6 is fast in channels-last alone.
    if (model_case.model == "alexnet" && !has_avx512()) continue;
    const Plan plan = make_plan(model_case, 2, Mode::training);
    const auto& nodes = plan.graph.nodes();
    const auto first = std::find_if(nodes.begin(), nodes.end(),
                                    [](const Node& node) { return node.op == "conv2d"; });
    ASSERT_NE(first, nodes.end());
    EXPECT_EQ(plan.graph.type(first->inputs[0]).layout, Layout::plain) << model_case.title;
    EXPECT_EQ(first->outputs[0].layout, blocked_layout()) << model_case.title;
  }
}

TEST(CpuDeviceTest, UsesWinogradForMostOfResNetWithAvx512) {
  if (!has_avx512()) GTEST_SKIP() << "oneDNN 2.6 has Winograd for AVX-512 only";
  const Plan plan = make_plan(model_cases()[0], 128, Mode::training);
  int winograd = 0;
  for (const Launch& launch : plan.launches) {
    if (launch.kernel == nullptr) continue;
    winograd += launch.kernel->implementation().find("wino") != std::string_view::npos ? 1 : 0;
  }
  EXPECT_EQ(winograd, 3 * 13);  // 3x3 with stride 1, in three directions
}

TEST(CpuDeviceTest, TakesTheThreadsItIsGivenOrItsShareOfTheCores) {
  const auto make = [](DeviceOptions options) {
    return registry().find_device("cpu").make(options);
  };
  EXPECT_EQ(make({.threads = 3})->threads(), 3);
  const int all = make({})->threads();
  int shared = 0;
  for (int rank = 0; rank < 2; ++rank) {
    shared += make({.local_rank = rank, .local_size = 2})->threads();
  }
  EXPECT_EQ(shared, std::max(2, all));
  EXPECT_EQ(make({.local_rank = 99'999, .local_size = 100'000})->threads(), 1);
  EXPECT_NE(cpu().description().find("2 threads, oneDNN 2."), std::string::npos)
      << cpu().description();
}

TEST(CpuDeviceTest, GivesZeroGradientsForABatchWithoutSamples) {
  const Attributes attributes = Attributes::of(Conv2dAttributes{.weight_shape = {4, 3, 1, 1}});
  const std::vector<TensorType> inputs{{DType::f32, {0, 3, 5, 5}}, {DType::f32, {0, 4, 5, 5}}};
  const std::vector<TensorType> outputs{{DType::f32, {4, 3, 1, 1}}};
  const auto kernel = cpu().prepare({"conv2d_grad_weight", "empty", attributes, inputs, outputs,
                                     registry().ops().at("conv2d_grad_weight"), Mode::training});
  std::vector<float> dw(12, 1.0f);
  const void* const in[] = {nullptr, nullptr};
  void* const out[] = {dw.data()};
  kernel->launch({in, out, nullptr, nullptr});
  EXPECT_EQ(dw, std::vector<float>(12, 0.0f));
}

TEST(CpuDeviceTest, NamesOpAndLabelWhereThereIsNoKernel) {
  const OpDef unknown{.name = "unknown_op", .help = "", .infer = {}};
  try {
    cpu().prepare({"unknown_op", "layer7", {}, {}, {}, unknown, Mode::training});
    FAIL() << "prepared a kernel for an op that nobody knows";
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), Failure::device);
    EXPECT_NE(std::string(error.what()).find("layer7"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("unknown_op"), std::string::npos);
  }
}

}  // namespace
}  // namespace lockstep::testing
