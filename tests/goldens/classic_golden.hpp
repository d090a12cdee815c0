// One network of networks_classic.tsv against what PyTorch computes in float64, from the formula's
// weights and running statistics: its logits in evaluation mode; the loss and all gradients of one
// training step, tensor by tensor or in groups, as the file has them.
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
    fill_parameters(rig_, kind == "relu" ? 2.0f : 0.0f);
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
    const double float32 = golden_.at("float32").at(0);
    const size_t compared = is_grouped()
                                ? expect_groups(golden_tolerance(rig_, kind_, batch_, float32))
                                : expect_golden_gradients(rig_, golden_, kind_, batch_, float32);
    EXPECT_EQ(compared, rig_.state.layout.parameters.size());
  }

 private:
  static constexpr std::string_view kGroup = "gradients ";

  bool is_grouped() const {
    return std::any_of(golden_.begin(), golden_.end(),
                       [](const auto& line) { return line.first.starts_with(kGroup); });
  }

  // The parameters of a block, "layer1.0", by name; those outside of blocks by their module, "fc".
  std::vector<std::string> parameters_of(const std::string& group) const {
    std::vector<std::string> names;
    for (const ParameterSlot& slot : rig_.state.layout.parameters) {
      const std::string module = slot.name.substr(0, slot.name.rfind('.'));
      const size_t first = module.find('.');
      const size_t second = first == module.npos ? first : module.find('.', first + 1);
      if (module.substr(0, second) == group) names.push_back(slot.name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  // A group's gradients one after the other, each divided by its golden norm, so that all count
  // alike; the error is the root of the mean over them. Returns how many parameters all groups
  // have.
  size_t expect_groups(double tolerance) const {
    size_t parameters = 0;
    Worst worst;
    for (const auto& [subject, numbers] : golden_) {
      if (!subject.starts_with(kGroup)) continue;
      const std::string group = subject.substr(kGroup.size());
      const double error = group_error(group, numbers, tolerance);
      EXPECT_LE(error, tolerance) << group;
      worst.add(error, group);
      parameters += numbers.size() - Sketch::kSums;
    }
    ::testing::Test::RecordProperty("gradient_error", worst.text());
    return parameters;
  }

  double group_error(const std::string& group, const std::vector<double>& numbers,
                     double tolerance) const {
    const std::vector<std::string> names = parameters_of(group);
    if (names.size() + Sketch::kSums != numbers.size()) {
      ADD_FAILURE() << group << " has " << names.size() << " parameters";
      return 0;
    }
    std::vector<float> all;
    double compared = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      const double norm = numbers[Sketch::kSums + i];
      std::vector<float> gradient = rig_.gradient(names[i]);
      if (norm > 0) {
        EXPECT_NEAR(Sketch::of(gradient).norm / norm, 1, tolerance) << names[i];
        ++compared;
      }
      for (float& value : gradient) value = norm > 0 ? static_cast<float>(value / norm) : 0.0f;
      all.insert(all.end(), gradient.begin(), gradient.end());
    }
    Sketch expected{.norm = std::sqrt(compared)};
    std::copy_n(numbers.begin(), Sketch::kSums, expected.sums.begin());
    return distance(Sketch::of(all), expected) / std::sqrt(std::max(compared, 1.0));
  }

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
