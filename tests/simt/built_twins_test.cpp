// NEEDS: cuda
// Every optimizer of this tree has a twin that nvcc made and that opens, here without a GPU.
#include <gtest/gtest.h>

#include "plugin/loader.hpp"
#include "plugin/registry.hpp"
#include "plugin/twin.hpp"

namespace lockstep {
namespace {

TEST(BuiltTwinsTest, OpenWithoutAGpuForEveryOptimizer) {
  Registry registry;
  const std::vector<PluginFile> files = find_plugins("optimizers");
  EXPECT_GE(files.size(), 2u);
  for (const PluginFile& file : files) {
    const std::string plugin = registry.find_optimizer(file.name).plugin;
    EXPECT_NE(find_update_launch(plugin, file.name), nullptr) << file.name;
  }
}

}  // namespace
}  // namespace lockstep
