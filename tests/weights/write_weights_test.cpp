// What is written reads back equal.
#include <gtest/gtest.h>

#include "selftest/golden_values.hpp"
#include "support/expect_error.hpp"
#include "weights/weight_files.hpp"
#include "weights/write.hpp"

namespace lockstep::testing {
namespace {

HostTensor golden_tensor(const std::string& name, Shape shape) {
  HostTensor tensor{shape, {}};
  for (int64_t i = 0; i < shape.numel(); ++i) {
    tensor.values.push_back(golden_value(name, static_cast<uint64_t>(i)));
  }
  return tensor;
}

Checkpoint small_checkpoint() {
  Checkpoint checkpoint;
  checkpoint.parameters["conv.weight"] = golden_tensor("conv.weight", {300, 2, 3, 3});
  checkpoint.parameters["bn.weight"] = golden_tensor("bn.weight", {300});
  checkpoint.parameters["empty"] = golden_tensor("empty", {0, 4});
  checkpoint.buffers["bn.running_mean"] = golden_tensor("bn.running_mean", {300});
  checkpoint.buffers["bn.running_var"] = golden_tensor("bn.running_var", {300});
  checkpoint.progress.step = 70000;
  return checkpoint;
}

void expect_equal(const Weights& read, const Checkpoint& written) {
  EXPECT_EQ(read.tensors.size(), written.parameters.size() + written.buffers.size() + 1);
  for (const TensorMap* map : {&written.parameters, &written.buffers}) {
    for (const auto& [name, tensor] : *map) {
      ASSERT_TRUE(read.tensors.contains(name)) << name;
      EXPECT_EQ(read.tensors.at(name).shape, tensor.shape) << name;
      EXPECT_EQ(read.tensors.at(name).floats(), tensor.values) << name;
    }
  }
  const StoredTensor& counter = read.tensors.at("bn.num_batches_tracked");
  EXPECT_EQ(counter.dtype, DType::i64);
  EXPECT_EQ(counter.shape, Shape());
  EXPECT_EQ(counter.floats(), std::vector<float>{70000});
}

TEST(WriteWeightsTest, SafetensorsReadBackEqual) {
  const Checkpoint checkpoint = small_checkpoint();
  expect_equal(read_bytes(safetensors_bytes(state_dict(checkpoint))), checkpoint);
}

TEST(WriteWeightsTest, TorchFilesReadBackEqual) {
  const Checkpoint checkpoint = small_checkpoint();
  expect_equal(read_bytes(torch_bytes(state_dict(checkpoint))), checkpoint);
}

TEST(WriteWeightsTest, EveryElementTypeIsWritten) {
  const std::string bytes(24, '\1');
  std::vector<NamedTensor> tensors;
  for (DType dtype :
       {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i64, DType::i32, DType::u8}) {
    tensors.push_back({std::string(name(dtype)), dtype, {24 / size_of(dtype)}, bytes});
  }
  for (const std::string& file : {torch_bytes(tensors), safetensors_bytes(tensors)}) {
    const Weights read = read_bytes(file);
    ASSERT_EQ(read.tensors.size(), tensors.size());
    for (const NamedTensor& tensor : tensors) {
      const StoredTensor& found = read.tensors.at(tensor.name);
      EXPECT_EQ(found.dtype, tensor.dtype);
      EXPECT_EQ(found.shape, tensor.shape);
      EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(found.data), 24), bytes);
    }
  }
}

TEST(WriteWeightsTest, TorchStoragesBeginAtMultiplesOf64) {
  const Checkpoint checkpoint = small_checkpoint();
  const FileBytes file = file_bytes(torch_bytes(state_dict(checkpoint)));
  for (const auto& [name, tensor] : read_weights_in(file).tensors) {
    EXPECT_EQ((reinterpret_cast<const char*>(tensor.data) - file.bytes.data()) % 64, 0) << name;
  }
}

TEST(WriteWeightsTest, EqualWeightsGiveEqualFiles) {
  const Checkpoint a = small_checkpoint();
  const Checkpoint b = small_checkpoint();
  EXPECT_EQ(torch_bytes(state_dict(a)), torch_bytes(state_dict(b)));
  EXPECT_EQ(safetensors_bytes(state_dict(a)), safetensors_bytes(state_dict(b)));
}

}  // namespace
}  // namespace lockstep::testing
