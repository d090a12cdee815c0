// Files from the wild: published checkpoints, and small ones of several packages ($LOCKSTEP_DATA).
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/expect_error.hpp"
#include "weights/weight_files.hpp"

namespace lockstep::testing {
namespace {

namespace fs = std::filesystem;

class RealFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("LOCKSTEP_DATA");
    if (data == nullptr) GTEST_SKIP() << "LOCKSTEP_DATA is not set";
    data_ = data;
    if (!fs::exists(data_ / "torch_files")) {
      GTEST_SKIP() << data_ / "torch_files"
                   << " is not there";
    }
  }
  fs::path data_;
};

struct RealFile {
  const char* path;
  size_t tensors;
  int64_t elements;
  double sum;  // of value[i] * ((i mod 7) + 1) of every tensor, as PyTorch reads them
};
constexpr RealFile kFiles[] = {
    {"cifar_resnet/resnet20-12fca82f.th", 97, 271098, 329.110036},
    {"cifar_resnet/resnet32-d509ac18.th", 157, 466426, 2511.703484},
    {"torch_files/facenet_mtcnn/onet.pt", 21, 389040, -1429.230768},
    {"torch_files/facenet_mtcnn/pnet.pt", 13, 6632, -178.255202},
    {"torch_files/facenet_mtcnn/rnet.pt", 16, 100178, -718.442673},
    {"torch_files/lpips_v0.1/alex.pth", 5, 1152, 406.314392},
    {"torch_files/lpips_v0.1/squeeze.pth", 7, 2240, 711.947302},
    {"torch_files/lpips_v0.1/vgg.pth", 5, 1472, 527.002048},
    {"torch_files/silero/silero_vad_16k.safetensors", 15, 309633, -1302.310267},
    {"torch_files/zip_state_dicts/lenet_cuda_jordanhoare.pth", 10, 61706, -9533.161669},
};

TEST_F(RealFilesTest, StateDictsHaveTheTensorsThatPyTorchReads) {
  for (const RealFile& file : kFiles) {
    const Weights weights = read_weights(data_ / file.path);
    EXPECT_EQ(weights.tensors.size(), file.tensors) << file.path;
    int64_t elements = 0;
    double sum = 0;
    for (const auto& [name, tensor] : weights.tensors) {
      elements += tensor.shape.numel();
      const std::vector<float> values = tensor.floats();
      for (size_t i = 0; i < values.size(); ++i) sum += values[i] * static_cast<double>(i % 7 + 1);
    }
    EXPECT_EQ(elements, file.elements) << file.path;
    EXPECT_NEAR(sum, file.sum, 1e-3) << file.path;
  }
}

TEST_F(RealFilesTest, PublishedCheckpointsNameTheirTensorsAsTheModelDoes) {
  const Weights weights = read_weights(data_ / "cifar_resnet/resnet20-12fca82f.th");
  EXPECT_TRUE(weights.tensors.contains("layer3.2.bn2.running_var"));
  EXPECT_EQ(weights.tensors.at("linear.weight").shape, Shape({10, 64}));
  EXPECT_EQ(weights.others.size(), 0u);
}

TEST_F(RealFilesTest, SingleTensorsAreRefusedAsSuch) {
  int files = 0;
  for (const auto& item : fs::directory_iterator(data_ / "torch_files/torchvision_expect")) {
    expect_error([&] { read_weights(item.path()); }, Failure::checkpoint, "holds a tensor");
    ++files;
  }
  EXPECT_EQ(files, 12);
}

}  // namespace
}  // namespace lockstep::testing
