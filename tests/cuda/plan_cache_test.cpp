// NEEDS: cuda
#include "plan_cache.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "cuda/planning.hpp"
#include "graphs.hpp"
#include "planner.hpp"
#include "support/temporary_folder.hpp"

namespace lockstep::testing {
namespace {

using namespace lockstep::cuda;
namespace fs = std::filesystem;

PlanKey some_key() {
  return {.gpu = "NVIDIA H100",
          .architecture = 90,
          .options = "deterministic",
          .label = "conv2d",
          .graph = "1=2;"};
}

std::string read(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void replace_in(const fs::path& path, const std::string& from, const std::string& to) {
  std::string text = read(path);
  const size_t at = text.find(from);
  ASSERT_NE(at, text.npos) << text;
  std::ofstream(path) << text.replace(at, from.size(), to);
}

TEST(PlanCacheTest, GivesBackWhatWasStoredForThisKeyAlone) {
  const test::TemporaryFolder folder;
  PlanCache cache(folder.path());
  EXPECT_FALSE(cache.load(some_key()));
  cache.store(some_key(), {"{plan}", "engine 7"});
  ASSERT_TRUE(cache.load(some_key()));
  EXPECT_EQ(cache.load(some_key())->plan, "{plan}");
  EXPECT_EQ(cache.load(some_key())->implementation, "engine 7");
  for (auto change :
       {+[](PlanKey& k) { k.gpu = "NVIDIA A100"; }, +[](PlanKey& k) { k.architecture = 80; },
        +[](PlanKey& k) { k.options = "any"; }, +[](PlanKey& k) { k.graph = "1=3;"; }}) {
    PlanKey other = some_key();
    change(other);
    EXPECT_FALSE(cache.load(other));
  }
}

TEST(PlanCacheTest, TheFirstPlanStaysSoThatAllRanksTakeIt) {
  const test::TemporaryFolder folder;
  PlanCache first(folder.path()), second(folder.path());
  first.store(some_key(), {"{one}", "engine 1"});
  EXPECT_EQ(second.store(some_key(), {"{two}", "engine 2"}).plan, "{one}");
  EXPECT_EQ(first.load(some_key())->plan, "{one}");
}

TEST(PlanCacheTest, RefusesDamageAndPlansForSomethingElse) {
  const std::pair<const char*, const char*> changes[] = {
      {"\"{plan}\"", "\"{plan?}\""},                     // another plan under the checksum
      {"\"architecture\": 90", "\"architecture\": 80"},  // copied from elsewhere
      {"\"graph\": \"1=2;\"", "\"graph\": \"1=3;\""},
      {"\"cudnn\": ", "\"cudnn\": 1"},
      {"\"checksum\"", "\"sum\""},
      {"{", ""}};
  for (const auto& [from, to] : changes) {
    const test::TemporaryFolder folder;
    PlanCache cache(folder.path());
    cache.store(some_key(), {"{plan}", "engine 7"});
    const fs::path path = folder / some_key().file_name();
    replace_in(path, from, to);
    EXPECT_FALSE(cache.load(some_key())) << from;
    EXPECT_FALSE(fs::exists(path)) << "a refused plan is planned anew";
  }
}

TEST(PlanCacheTest, AFolderThatCannotBeWrittenOnlyCostsTime) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "file") << "no folder";
  PlanCache cache(folder / "file");
  EXPECT_EQ(cache.store(some_key(), {"{plan}", "engine 7"}).plan, "{plan}");
  EXPECT_FALSE(cache.keeps());
}

TEST(PlanCacheTest, APlanThatCudnnDoesNotLoadIsPlannedAnew) {
  const test::TemporaryFolder folder;
  setenv("LOCKSTEP_PLAN_CACHE", folder.path().c_str(), 1);
  const ConvolutionShape shape{.dtype = DType::bf16,
                               .batch = 8,
                               .x = {64, 14, 14},
                               .y = {64, 14, 14},
                               .kernel = {3, 3},
                               .stride = {1, 1},
                               .padding = {1, 1},
                               .dilation = {1, 1},
                               .groups = 1};
  const OperationGraph graph = convolution_graph(shape, {});
  const auto plan_for = [&](int architecture) {
    const std::string description = device_description(architecture);
    Planner planner(description, described_properties(description), {});
    return planner.plan(graph)->implementation();
  };
  const auto only_file = [&](const std::string& prefix) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder.path())) {
      if (entry.path().filename().string().starts_with(prefix)) return entry.path();
    }
    return fs::path();
  };
  const std::string h100 = plan_for(90), a100 = plan_for(80);
  EXPECT_EQ(plan_for(90), h100);

  // The plan of one architecture with the papers of the other.
  const PlanCache cache(folder.path());
  const fs::path stored = only_file("sm90"), other = only_file("sm80");
  const std::string before = read(stored);
  const auto plan_of = [](const std::string& text) {
    const size_t at = text.find("\"plan\": ");
    return text.substr(at, text.find("\n", at) - at);
  };
  const auto sum_of = [](const std::string& text) {
    const size_t at = text.find("\"checksum\": ");
    return text.substr(at, text.find("\n", at) - at);
  };
  const auto name_of = [](const std::string& text) {
    const size_t at = text.find("\"implementation\": ");
    return text.substr(at, text.find("\n", at) - at);
  };
  const std::string foreign = read(other);
  replace_in(stored, plan_of(before), plan_of(foreign));
  replace_in(stored, sum_of(before), sum_of(foreign));
  replace_in(stored, name_of(before), name_of(foreign));
  EXPECT_EQ(plan_for(90), h100);
  EXPECT_EQ(read(stored), before);
  unsetenv("LOCKSTEP_PLAN_CACHE");
}

}  // namespace
}  // namespace lockstep::testing
