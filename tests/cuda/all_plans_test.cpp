// LABELS: slow
// NEEDS: cuda null_driver
// Every cuDNN graph of every recipe, in training and evaluation, in fp32, bf16 and fp16, planned
// for A100, H100 and B200; and the nodes of the self-test in half precision. LOCKSTEP_AOT_SHARD=2/8
// plans the second eighth of them. Plans are kept in the build tree, so that a second run only
// loads them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "cuda/planning.hpp"
#include "planner.hpp"

namespace lockstep::testing {
namespace {

std::vector<PlanningCase> all_cases() {
  std::vector<PlanningCase> cases;
  for (int architecture : {90, 80, 100}) {
    for (DType precision : {DType::bf16, DType::f32, DType::f16}) {
      for (const std::string& recipe : all_recipes()) {
        for (Mode mode : {Mode::training, Mode::evaluation}) {
          cases.push_back({recipe, mode, precision, architecture});
        }
      }
    }
  }
  return cases;
}

// Consecutive cases share most of their graphs, so a shard is a run of them.
std::vector<PlanningCase> shard_of(const std::vector<PlanningCase>& cases) {
  const char* text = std::getenv("LOCKSTEP_AOT_SHARD");
  size_t shard = 1, shards = 1;
  if (text != nullptr && std::sscanf(text, "%zu/%zu", &shard, &shards) != 2) {
    ADD_FAILURE() << "LOCKSTEP_AOT_SHARD is " << text << "; expected a form such as 2/8";
  }
  const auto bound = [&](size_t i) {
    return cases.begin() + static_cast<ptrdiff_t>(cases.size() * i / shards);
  };
  return {bound(shard - 1), bound(shard)};
}

TEST(AllPlansTest, EveryRecipePlansForEveryGpuInEveryPrecision) {
  if (!has_null_driver()) GTEST_SKIP() << "needs tests/cuda/null_driver.c, as ctest gives it";
  const std::vector<PlanningResult> results = plan_cases(shard_of(all_cases()));
  for (const PlanningResult& result : results) {
    EXPECT_EQ(result.failure, "") << result.what.text();
    for (const PlannedGraph& graph : result.graphs) {
      EXPECT_LE(graph.workspace_bytes, cuda::PlannerOptions{}.most_workspace_bytes) << graph.label;
    }
  }
  std::printf("%s", summary_table(results).c_str());
}

TEST(AllPlansTest, EveryNodeOfTheSelfTestIsPreparedInHalfPrecision) {
  if (!has_null_driver()) GTEST_SKIP() << "needs tests/cuda/null_driver.c, as ctest gives it";
  for (DType dtype : {DType::bf16, DType::f16}) {
    const OpCasePlans plans = plan_op_cases(dtype);
    EXPECT_THAT(plans.refused, ::testing::IsEmpty());
    EXPECT_GT(plans.prepared, 200);
  }
}

}  // namespace
}  // namespace lockstep::testing
