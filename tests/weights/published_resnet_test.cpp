// LABELS: slow threads
// The published ResNet-20 for CIFAR-10 (https://github.com/akamaster/pytorch_resnet_cifar10) scores
// what its author says: 8.27% of errors, on the photographs of $LOCKSTEP_DATA/cifar10, where an
// implementation in numpy made the logits beside it.
#include <nlohmann/json.hpp>

#include "support/training_rig.hpp"
#include "train/tiny_run.hpp"
#include "weights/weights.hpp"

namespace lockstep::testing {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kClasses = 10;
const Shape kImage{3, 32, 32};

class PublishedResNetTest : public test::TinyRunTest {
 protected:
  void SetUp() override {
    const char* data = std::getenv("LOCKSTEP_DATA");
    data_ = data == nullptr ? "" : data;
    weights_ = data_ / "cifar_resnet/resnet20-12fca82f.th";
    for (const fs::path& path : {weights_, data_ / "cifar10"}) {
      if (!fs::exists(path)) GTEST_SKIP() << path << " ($LOCKSTEP_DATA) is not there";
    }
  }

  // Pictures [0, count) of the test set: a byte for the label, then the planes.
  HostSamples read_samples(int64_t count) const {
    HostSamples samples{kImage, {}, {}, {}, {}};
    for (const auto& entry : fs::recursive_directory_iterator(data_ / "cifar10")) {
      if (entry.path().filename() != "test_batch.bin") continue;
      std::ifstream file(entry.path(), std::ios::binary);
      std::string record(static_cast<size_t>(1 + kImage.numel()), '\0');
      for (int64_t i = 0; i < count && file.read(record.data(), std::ssize(record)); ++i) {
        samples.labels.push_back(record[0]);
        samples.images.insert(samples.images.end(), record.begin() + 1, record.end());
        samples.weights.push_back(1);
        samples.indices.push_back(i);
      }
    }
    return samples;
  }

  fs::path data_, weights_;
};

TEST_F(PublishedResNetTest, ScoresWhatItsAuthorSays) {
  const test::MpiRun run = lockstep(concat(
      "evaluate --weights ", weights_.string(), " --model cifar_resnet --set model.depth=20 ",
      "--set data.name=cifar10 --set data.path=", (data_ / "cifar10").string(),
      " --set data.mean=[0.485,0.456,0.406] --set data.std=[0.229,0.224,0.225] --json"));
  ASSERT_EQ(run.exit_code, 0) << run.output;
  const auto json = nlohmann::json::parse(run.output);
  EXPECT_EQ(json["samples"], 10000);
  EXPECT_NEAR(json["top1"].get<double>() * 10000, 9173, 2);
}

TEST_F(PublishedResNetTest, LogitsAreThoseOfAnotherImplementation) {
  constexpr int64_t kCount = 500;
  HostSamples samples = read_samples(kCount);
  ASSERT_EQ(std::ssize(samples.labels), kCount);
  std::vector<float> expected(static_cast<size_t>(kCount * kClasses));
  std::ifstream file(data_ / "cifar_resnet/resnet20_test_logits_numpy.f32", std::ios::binary);
  ASSERT_TRUE(file.read(reinterpret_cast<char*>(expected.data()), std::ssize(expected) * 4));

  Registry registry;
  PlanRequest request;
  request.image = kImage;
  request.mean = {0.485, 0.456, 0.406};
  request.std = {0.229, 0.224, 0.225};
  request.model = [&](Scope s, Value image) {
    return registry.find_model("cifar_resnet").make(std::move(s), image, kClasses, {});
  };
  TrainingRig rig("cpu", request);
  const Weights weights = read_weights(weights_);
  for (const ParameterSlot& slot : rig.state.layout.parameters) {
    rig.set_parameter(slot.name, weights.tensors.at(slot.name).floats());
  }
  for (const BufferSlot& slot : rig.state.layout.buffers) {
    rig.state.write(rig.state.buffers, slot.offset, weights.tensors.at(slot.name).floats());
  }
  const std::vector<float> logits = rig.logits(samples, kCount);
  ASSERT_EQ(logits.size(), expected.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    EXPECT_NEAR(logits[i], expected[i], 1e-3) << "picture " << i / kClasses;
  }
}

}  // namespace
}  // namespace lockstep::testing
