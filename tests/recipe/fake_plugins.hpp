// Small plugins, registered without files, for tests of recipes.
#pragma once

#include <string>
#include <vector>

#include "plugin/plugin.hpp"
#include "recipe/recipe.hpp"

namespace lockstep {
namespace {

struct FakeModelOptions {
  int depth = 50;
  bool small_images = false;
  std::vector<double> widths = {1, 0.5};
};
inline void describe(Options<FakeModelOptions>& o) {
  o("depth", &FakeModelOptions::depth, "layers", one_of(18, 50));
  o("small_images", &FakeModelOptions::small_images, "for 32x32 inputs");
  o("widths", &FakeModelOptions::widths, "multipliers", positive());
}
inline Value fake_model(Scope, Value image, int64_t, const FakeModelOptions&) { return image; }

struct FakeDatasetOptions {
  int64_t samples = 10;
};
inline void describe(Options<FakeDatasetOptions>& o) {
  o("samples", &FakeDatasetOptions::samples, "how many", at_least(0));
}
class FakeDataset final : public Dataset {
 public:
  FakeDataset(const DatasetSource&, const FakeDatasetOptions& options) : size_(options.samples) {}
  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  int64_t read(int64_t, Image&) const override { return 0; }

 private:
  DatasetSpec spec_;
  int64_t size_;
};

struct FakeCropOptions {
  int size = 32;
  int padding = 0;
};
inline void describe(Options<FakeCropOptions>& o) {
  o("size", &FakeCropOptions::size, "height and width", at_least(1));
  o("padding", &FakeCropOptions::padding, "on each side", at_least(0));
}
class FakeCrop final : public Transform {
 public:
  explicit FakeCrop(const FakeCropOptions&) {}
  Shape output(const Shape& input) const override { return input; }
  void apply(Image&, Image&, RandomStream&) const override {}
};

struct FakeSgd {
  static constexpr int slots = 0;
  float momentum = 0.9f;
  float weight_decay = 0;
  void operator()(StepInfo, float&, float, Slots<0>) const {}
};
inline void describe(Options<FakeSgd>& o) {
  o("momentum", &FakeSgd::momentum, "of the velocity", between(0, 1));
  o("weight_decay", &FakeSgd::weight_decay, "added to the gradient", at_least(0));
}

inline double fake_schedule(const ScheduleArguments& a, const NoOptions&) { return a.lr; }

inline Registry make_fake_registry() {
  Registry registry;
  registry.model("net", fake_model);
  registry.dataset<FakeDataset, FakeDatasetOptions>("pictures");
  registry.transform<FakeCrop, FakeCropOptions>("crop");
  registry.optimizer<FakeSgd>("sgd");
  registry.schedule("constant", fake_schedule);
  registry.schedule("cosine", fake_schedule);
  return registry;
}

inline const std::string kSmallest = R"([model]
name = "net"
[data]
name = "pictures"
[train]
epochs = 3
)";

inline Recipe parse(std::string_view text, const std::vector<std::string>& sets = {}) {
  Registry registry = make_fake_registry();
  return parse_recipe(text, "r.toml", sets, registry);
}

// What is said of a recipe that is refused.
inline std::string refusal(std::string_view text, const std::vector<std::string>& sets = {}) {
  try {
    parse(text, sets);
  } catch (const Error& error) {
    return error.failure() == Failure::usage ? error.what() : "not a usage error";
  }
  return "accepted";
}

}  // namespace
}  // namespace lockstep
