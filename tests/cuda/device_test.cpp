// LABELS: gpu
// NEEDS: cuda
// Memory, streams, events and recordings on a real GPU.
#include "device.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "support/expect_error.hpp"

namespace lockstep::testing {
namespace {

using namespace lockstep::cuda;

class CudaDeviceTest : public ::testing::Test {
 protected:
  static constexpr int64_t kCount = 1 << 20;
  static constexpr int64_t kBytes = kCount * 4;

  void SetUp() override {
    if (const GpuCount gpus = count_gpus(); gpus.count == 0) GTEST_SKIP() << gpus.unusable;
    device_ = std::make_unique<CudaDevice>(DeviceOptions{});
    memory_ = device_->allocate(kBytes);
    host_ = static_cast<int32_t*>(device_->allocate_host(kBytes));
    std::iota(host_, host_ + kCount, 1);
  }
  void TearDown() override {
    if (device_ == nullptr) return;
    device_->release_host(host_);
    device_->release(memory_);
  }

  // The sum of the device's numbers.
  int64_t sum() {
    std::vector<int32_t> numbers(kCount);
    device_->copy_to_host(numbers.data(), memory_, kBytes, device_->compute_stream());
    device_->synchronize(device_->compute_stream());
    return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
  }
  static constexpr int64_t kSum = kCount * (kCount + 1) / 2;

  std::unique_ptr<CudaDevice> device_;
  void* memory_ = nullptr;
  int32_t* host_ = nullptr;
};

TEST_F(CudaDeviceTest, AStreamWaitsForWhatAnotherRecorded) {
  Event* const copied = device_->create_event();
  device_->copy_to_device(memory_, host_, kBytes, device_->copy_stream());
  device_->record(copied, device_->copy_stream());
  device_->wait(device_->compute_stream(), copied);
  EXPECT_EQ(sum(), kSum);
  EXPECT_TRUE(device_->finished(copied));
  device_->destroy_event(copied);
}

TEST_F(CudaDeviceTest, ARecordingRunsWhenItIsReplayedAndNotBefore) {
  Stream* const stream = device_->compute_stream();
  device_->copy_to_device(memory_, host_, kBytes, stream);
  device_->begin_recording(stream);
  device_->fill_zero(memory_, kBytes, stream);
  const auto recording = device_->end_recording(stream);
  EXPECT_EQ(sum(), kSum);
  recording->replay(stream);
  EXPECT_EQ(sum(), 0);
  device_->copy_to_device(memory_, host_, kBytes, stream);
  recording->replay(stream);
  EXPECT_EQ(sum(), 0);
}

TEST_F(CudaDeviceTest, TellsHowMuchMemoryWasWantedAndLeavesNoErrorBehind) {
  const int64_t wanted = device_->free_bytes() + (int64_t{1} << 40);
  expect_error([&] { device_->allocate(wanted); }, Failure::device, std::to_string(wanted));
  EXPECT_NO_THROW(device_->release(device_->allocate(kBytes)));
  EXPECT_EQ(device_->unique_id().substr(0, 4), "GPU-");
}

}  // namespace
}  // namespace lockstep::testing
