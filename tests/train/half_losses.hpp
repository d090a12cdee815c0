// Whether bf16 trains as float32 does: ResNet-20 on drawn shapes, on the cpu device.
//
// The statistic is the mean of the last losses of a run. Float32 runs that differ in the seed alone
// (weights and order of samples) spread over a range [least, most] of it; a bf16 run, with the seed
// of the first, must lie within that range widened by its length r on both sides:
// [least - r, most + r].
#pragma once

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>

#include "ops/attributes.hpp"
#include "plugin/registry.hpp"
#include "train/tiny_run.hpp"

namespace lockstep::test {

struct HalfTraining {
  int steps;
  int batch;
  int seeds;  // of float32
  int last;   // losses that are averaged
};

class HalfLossesTest : public TinyRunTest {
 protected:
  HalfLossesTest() {
    write_recipe("shapes.toml", R"(
[model]
name = "cifar_resnet"
depth = 20
[data]
name = "shapes"
train_size = 4000
test_size = 8
[optimizer]
name = "sgd"
lr = 0.01
momentum = 0.9
weight_decay = 1e-4
[schedule]
name = "constant"
[device]
name = "cpu"
threads = 1
[evaluation]
every_epochs = 0
)");
  }

  double mean_of_last_losses(const HalfTraining& training, int seed, const char* precision) const {
    const std::string name = concat(precision, '-', seed);
    const MpiRun run = lockstep(concat("train shapes.toml --output ", name,
                                       " --set train.max_steps=", training.steps,
                                       " --set train.global_batch_size=", training.batch,
                                       " --set seed=", seed, " --set train.precision=", precision));
    EXPECT_EQ(run.exit_code, 0) << run.output;
    const std::vector<double> all = losses(name);
    if (static_cast<int>(all.size()) != training.steps) return NAN;
    return std::accumulate(all.end() - training.last, all.end(), 0.0) / training.last;
  }

  void expect_bf16_within_the_spread_of_seeds(const HalfTraining& training) const {
    Registry registry;
    const auto cpu = registry.find_device("cpu").make({});
    if (!cpu->supports("conv2d", Attributes::of(Conv2dAttributes{}), DType::bf16)) {
      GTEST_SKIP() << "needs a processor with AVX512_BF16 or AMX; this is " << cpu->description();
    }
    std::vector<double> floats;
    for (int seed = 1; seed <= training.seeds; ++seed) {
      floats.push_back(mean_of_last_losses(training, seed, "fp32"));
    }
    const auto [least, most] = std::minmax_element(floats.begin(), floats.end());
    const double range = *most - *least;
    const double half = mean_of_last_losses(training, 1, "bf16");
    std::cout << "fp32 " << *least << " to " << *most << ", bf16 " << half << std::endl;
    EXPECT_LT(*least, 2.2) << "float32 learns: the loss begins above log(10) = 2.3";
    EXPECT_GE(half, *least - range);
    EXPECT_LE(half, *most + range);
  }
};

}  // namespace lockstep::test
