// NEEDS: cuda
// Every recipe compiles for the cuda device in every precision: passes, layouts and own kernels. So
// that this takes seconds, one plan stands for those of all graphs; all_plans_test plans them.
#include "graphs.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "cuda/planning.hpp"
#include "device.hpp"
#include "planner.hpp"
#include "train/session.hpp"

namespace lockstep::testing {
namespace {

using namespace lockstep::cuda;

// Notes the labels of the graphs that it is asked for.
class NotingPlanner final : public Planner {
 public:
  explicit NotingPlanner(std::set<std::string>& labels)
      : Planner(device_description(90), described_properties(device_description(90)), {}),
        labels_(labels) {}

  std::shared_ptr<const ExecutionPlan> plan(const OperationGraph& graph) override {
    labels_.insert(graph.label);
    if (plan_ == nullptr) {
      plan_ = Planner::plan(convolution_graph({.dtype = DType::f32,
                                               .batch = 1,
                                               .x = {8, 8, 8},
                                               .y = {8, 8, 8},
                                               .kernel = {1, 1},
                                               .stride = {1, 1},
                                               .padding = {0, 0},
                                               .dilation = {1, 1},
                                               .groups = 1},
                                              {}));
    }
    return plan_;
  }

 private:
  std::set<std::string>& labels_;
  std::shared_ptr<const ExecutionPlan> plan_;
};

TEST(GraphsTest, EveryRecipeCompilesInEveryPrecision) {
  std::set<std::string> labels;
  Registry registry;
  for (DType precision : {DType::f32, DType::bf16, DType::f16}) {
    for (const std::string& recipe : all_recipes()) {
      for (Mode mode : {Mode::training, Mode::evaluation}) {
        const PlanningCase what{recipe, mode, precision, 90};
        SCOPED_TRACE(what.text());
        const PlanRequest request = planning_request(what, registry);
        CudaDevice device(described_properties(device_description(90)),
                          std::make_unique<NotingPlanner>(labels), {});
        const ParameterLayout layout = parameter_layout(request, mode, registry, device);
        EXPECT_NO_THROW(compile(request, registry, device, layout));
      }
    }
  }
  std::map<std::string, int> counts;
  for (const std::string& label : labels) ++counts[label.substr(0, label.find(' '))];
  for (const char* op :
       {"conv2d", "conv2d_grad_input", "conv2d_grad_weight", "linear", "linear_grad_input",
        "linear_grad_weight", "batch_norm", "batch_norm_grad"}) {
    EXPECT_GT(counts[op], 0) << op;
    std::printf("%-20s %5d graphs\n", op, counts[op]);
  }
}

}  // namespace
}  // namespace lockstep::testing
