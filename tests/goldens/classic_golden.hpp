// One network of networks_classic.tsv against what PyTorch computes in float64, from the formula's
// weights and running statistics: its logits in evaluation mode; the loss and all gradients of one
// training step.
#pragma once

#include "goldens/network_golden.hpp"

namespace lockstep::testing {

// A network filled by the formula, and the numbers to compare it with.
class ClassicGolden {
 public:
  ClassicGolden(const Network& network, const std::string& kind)
      : kind_(kind),
        batch_(network.batch),
        golden_(read_golden("networks_classic.tsv", network.name, kind)),
        samples_(make_samples("images", network)),
        rig_("cpu", make_request(network, kind)) {
    if (golden_.empty()) {
      fail(Failure::data, network.name,
           " is not in networks_classic.tsv; make it anew with networks_classic.py");
    }
    fill_parameters(rig_);
    fill_buffers(rig_);
  }

  void expect_logits() {
    const std::vector<double>& expected = golden_.at("logits");
    const std::vector<float> actual = rig_.logits(samples_, batch_);
    ASSERT_EQ(actual.size(), expected.size());
    double largest = 0;
    for (double value : expected) largest = std::max(largest, std::abs(value));
    Worst worst;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double error = std::abs(actual[i] - expected[i]) / largest;
      EXPECT_LE(error, 1e-4) << "logit " << i;
      worst.add(error, concat("logit ", i));
    }
    ::testing::Test::RecordProperty("logits_error", worst.text());
  }

  void expect_step() {
    const double expected = golden_.at("losses").at(0);
    // The moments of a batch of four multiply what ReLU makes of a flipped sign.
    const double tolerance = kind_ == "relu" ? 1e-4 : 1e-5;
    EXPECT_NEAR(rig_.step(samples_, batch_, 0), expected, tolerance * std::max(1.0, expected));
    EXPECT_EQ(expect_golden_gradients(rig_, golden_, kind_, batch_, golden_.at("float32").at(0)),
              rig_.state.layout.parameters.size());
  }

 private:
  std::string kind_;
  int64_t batch_;
  Golden golden_;
  HostSamples samples_;
  TrainingRig rig_;
};

inline Setting::Table options(std::initializer_list<std::pair<const char*, Setting::Value>> list) {
  Setting::Table table;
  for (const auto& [name, value] : list) table.push_back(option(name, value));
  return table;
}

}  // namespace lockstep::testing
