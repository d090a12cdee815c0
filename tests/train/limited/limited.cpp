// The device `limited`: the reference device with as much memory as LIMITED_KIB says.
#include <lockstep/plugin.hpp>

#include <cstdlib>
#include <map>

namespace {
using namespace lockstep;

class LimitedDevice final : public Device {
 public:
  explicit LimitedDevice(const DeviceOptions& options)
      : device_(registry_.find_device("reference").make(options)) {
    const char* limit = std::getenv("LIMITED_KIB");
    if (limit == nullptr) fail(Failure::device, "device limited: LIMITED_KIB is not set");
    free_ = std::atoll(limit) * 1024;
  }

  std::string_view name() const override { return "limited"; }
  std::string description() const override { return "limited: reference with little memory"; }

  void* allocate(int64_t bytes) override {
    if (bytes > free_) {
      throw OutOfMemory(concat("device limited: there is no memory for ", bytes, " bytes more"),
                        bytes);
    }
    void* const memory = device_->allocate(bytes);
    sizes_[memory] = bytes;
    free_ -= bytes;
    return memory;
  }
  void release(void* memory) noexcept override {
    const auto size = sizes_.find(memory);
    if (size != sizes_.end()) {
      free_ += size->second;
      sizes_.erase(size);
    }
    device_->release(memory);
  }
  int64_t free_bytes() const override { return free_; }

  void* allocate_host(int64_t bytes) override { return device_->allocate_host(bytes); }
  void release_host(void* memory) noexcept override { device_->release_host(memory); }
  void copy_to_device(void* device, const void* host, int64_t bytes, Stream* stream) override {
    device_->copy_to_device(device, host, bytes, stream);
  }
  void copy_to_host(void* host, const void* device, int64_t bytes, Stream* stream) override {
    device_->copy_to_host(host, device, bytes, stream);
  }
  void fill_zero(void* device, int64_t bytes, Stream* stream) override {
    device_->fill_zero(device, bytes, stream);
  }

  bool supports(std::string_view op, const Attributes& attributes, DType dtype) const override {
    return device_->supports(op, attributes, dtype);
  }
  std::unique_ptr<Kernel> prepare(const KernelRequest& request) override {
    return device_->prepare(request);
  }
  std::unique_ptr<Kernel> prepare_update(const UpdateRequest& request) override {
    return device_->prepare_update(request);
  }
  std::unique_ptr<Kernel> prepare_squared_norm(int64_t count) override {
    return device_->prepare_squared_norm(count);
  }
  std::unique_ptr<Kernel> prepare_accumulate(int64_t count, double keep, double add) override {
    return device_->prepare_accumulate(count, keep, add);
  }

 private:
  Registry registry_;
  std::unique_ptr<Device> device_;
  int64_t free_;
  std::map<void*, int64_t> sizes_;
};

}  // namespace

LS_PLUGIN(limited, registry) {
  registry.device("limited", [](const DeviceOptions& options) {
    return std::make_unique<LimitedDevice>(options);
  });
}
