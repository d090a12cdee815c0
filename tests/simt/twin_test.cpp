// Twins of plugins: the optimizers' updates in one launch, and pointwise functions, are those of
// the host; and what is said where a twin is missing or does not fit.
#include "plugin/twin.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "base/half.hpp"
#include "own.hpp"
#include "plugin/registry.hpp"
#include "selftest/golden_values.hpp"
#include "shim_device.hpp"
#include "support/temporary_folder.hpp"
#include "support/test_devices.hpp"

namespace lockstep::test {
namespace {

namespace fs = std::filesystem;

// As if the plugin's own file lay beside its twin.
std::string plugin_of(const std::string& name) {
  return LOCKSTEP_BUILD_DIR "/tests/simt/twins/" + name + ".so";
}

std::vector<float> numbers(const std::string& key, size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = golden_value(key, i);
  return values;
}

struct Arenas {
  std::vector<float> w, g, slot;
  void run(Kernel& kernel, const StepInfo& step) {
    std::vector<char> workspace(static_cast<size_t>(kernel.workspace_bytes()), '\xff');
    const void* const inputs[] = {g.data(), &step};
    void* const outputs[] = {w.data(), slot.data()};
    kernel.launch({inputs, outputs, workspace.data(), nullptr});
  }
};

class UpdateTest : public ::testing::TestWithParam<std::string> {};

TEST_P(UpdateTest, OfAllGroupsInOneLaunchIsThatOfTheHost) {
  const std::string name = GetParam();
  Registry registry;
  const OptimizerEntry& entry = registry.find_optimizer(name);
  const std::vector<UpdateGroup> groups = {
      {entry.make({{"momentum", {}, {0.5, {}}}, {"weight_decay", {}, {0.01, {}}}}), 1},
      {entry.make({}), 0.25f}};
  // Longer than a chunk, shorter than a vector, at a place where no vector begins, empty.
  const std::vector<UpdateSegment> segments = {
      {0, 5000, 0}, {5008, 3, 1}, {5021, 37, 0}, {5072, 0, 1}, {5072, 9001, 1}};
  const UpdateRequest request{name, groups, segments, {}};
  const auto expected_kernel = test_device("reference").prepare_update(request);
  const auto kernel = cuda::make_update_kernel(request, find_update_launch(plugin_of(name), name));
  const size_t count = 14080;
  Arenas actual{numbers("w", count), numbers("g", count), numbers("v", count)};
  Arenas expected = actual;
  for (int step = 1; step <= 3; ++step) {
    const StepInfo info{.lr = 0.1f, .gradient_scale = 0.5f, .step = step};
    actual.run(*kernel, info);
    expected.run(*expected_kernel, info);
  }
  for (size_t i = 0; i < count; ++i) {
    ASSERT_NEAR(actual.w[i], expected.w[i], 1e-6) << i;
    ASSERT_NEAR(actual.slot[i], expected.slot[i], 1e-6) << i;
  }
  EXPECT_NE(actual.w, numbers("w", count));
  EXPECT_EQ(actual.w[5011], numbers("w", count)[5011]) << "no segment covers this element";
}

INSTANTIATE_TEST_SUITE_P(Optimizers, UpdateTest, ::testing::Values("sgd", "lars"),
                         [](const auto& info) { return info.param; });

TEST(TwinTest, RunsPointwiseFunctionsOfPlugins) {
  Registry registry;
  registry.open(LOCKSTEP_BUILD_DIR "/tests/plugin/models/half_square.so");
  for (const std::string name : {"half_square", "half_square_grad"}) {
    OpDef op = registry.ops().at(name);
    op.plugin = plugin_of("half_square");
    const bool is_grad = name != "half_square";
    const TensorType plain{DType::f16, {3, 77}};
    const std::vector<TensorType> inputs(is_grad ? 2 : 1, plain);
    const auto kernel = cuda::make_plugin_pointwise_kernel(
        {name, name, {}, inputs, std::span(&plain, 1), op, Mode::training});
    const size_t count = 3 * 77;
    std::vector<F16> x, dy, y(count);
    for (float value : numbers("x", count)) x.push_back(from_float<F16>(value));
    for (float value : numbers("dy", count)) dy.push_back(from_float<F16>(value));
    const void* const in[] = {x.data(), dy.data()};
    void* const out[] = {y.data()};
    kernel->launch({std::span(in, inputs.size()), out, nullptr, nullptr});
    for (size_t i = 0; i < count; ++i) {
      const float value = to_float(x[i]), d = to_float(dy[i]);
      float expected = 0;
      if (is_grad) {
        op.pointwise.backward(&value, &d, &expected, 1);
      } else {
        op.pointwise.forward(&value, &expected, 1);
      }
      ASSERT_EQ(y[i].bits, from_float<F16>(expected).bits) << i;
    }
  }
}

TEST(TwinTest, OpsAndOptimizersSayWhichFileTheyCameFrom) {
  Registry registry;
  const std::string path = LOCKSTEP_BUILD_DIR "/tests/plugin/models/half_square.so";
  registry.open(path);
  EXPECT_EQ(registry.ops().at("half_square").plugin, path);
  EXPECT_EQ(registry.ops().at("half_square_grad").plugin, path);
  EXPECT_EQ(registry.ops().at("relu").plugin, "");
  EXPECT_TRUE(registry.find_optimizer("sgd").plugin.ends_with("optimizers/sgd.so"));
}

// --- refusals

std::string refusal(const std::string& plugin, const std::string& name) {
  try {
    find_update_launch(plugin, name);
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::device);
    return e.what();
  }
  ADD_FAILURE() << "found " << name << " in " << plugin;
  return {};
}

TEST(TwinTest, MissingOneIsNamedWithTheCommandThatBuildsIt) {
  const TemporaryFolder folder;
  const std::string plugin = (folder.path() / "adam.so").string();
  const std::string text = refusal(plugin, "adam");
  EXPECT_NE(text.find("optimizer adam: was built without CUDA: there is no "), text.npos) << text;
  EXPECT_NE(text.find("adam.cuda.so; rebuild it where nvcc is: cmake --build "), text.npos) << text;
}

TEST(TwinTest, OfAnotherLockstepIsRefused) {
  const TemporaryFolder folder;
  fs::copy_file(LOCKSTEP_BUILD_DIR "/tests/plugin/models/wrong_abi.so",
                folder.path() / "wrong_abi.cuda.so");
  const std::string text = refusal((folder.path() / "wrong_abi.so").string(), "wrong_abi");
  EXPECT_NE(text.find("optimizer wrong_abi: "), text.npos) << text;
  EXPECT_NE(text.find("was built for another Lockstep"), text.npos) << text;
}

TEST(TwinTest, WithoutTheWantedNameIsRefused) {
  const std::string text = refusal(plugin_of("sgd"), "adam");
  EXPECT_NE(text.find("sgd.cuda.so does not register it; rebuild it from the source of"), text.npos)
      << text;
}

}  // namespace
}  // namespace lockstep::test
