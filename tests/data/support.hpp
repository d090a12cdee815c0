// What the data tests share: files, a dataset in memory, a device that only lends memory.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "data/dataset.hpp"
#include "device/device.hpp"

namespace lockstep::testing {

using Bytes = std::vector<uint8_t>;

// Makes the file and the folders above it.
inline void write_file(const std::filesystem::path& path, const Bytes& content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
}

// $LOCKSTEP_DATA/name, or empty where it is not there.
inline std::string real_data(const std::string& name) {
  const char* root = std::getenv("LOCKSTEP_DATA");
  if (root == nullptr) return {};
  const std::filesystem::path path = std::filesystem::path(root) / name;
  return std::filesystem::exists(path) ? path.string() : std::string();
}

// Pictures (1, 2, 2) whose pixels are the index; classes in turn. Sample `bad` throws; reads are
// counted.
class CountingDataset final : public Dataset {
 public:
  explicit CountingDataset(int64_t size, int64_t classes = 10) : size_(size) {
    spec_ = {.image = {1, 2, 2}, .classes = classes, .class_names = {}};
    for (int64_t k = 0; k < classes; ++k) spec_.class_names.push_back(std::to_string(k));
  }
  const DatasetSpec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  int64_t read(int64_t index, Image& image) const override {
    ++reads;
    if (index == bad) fail(Failure::data, "bad.bin: record ", index, ": damaged");
    image.resize(1, 2, 2);
    std::memset(image.data(), static_cast<int>(index & 255), 4);
    return index == out_of_range ? spec_.classes : index % spec_.classes;
  }

  int64_t bad = -1;
  int64_t out_of_range = -1;
  mutable std::atomic<int64_t> reads = 0;

 private:
  DatasetSpec spec_;
  int64_t size_;
};

// Lends host memory and counts what is not given back.
class MemoryDevice final : public Device {
 public:
  std::string_view name() const override { return "memory"; }
  std::string description() const override { return "memory"; }
  void* allocate(int64_t bytes) override { return allocate_host(bytes); }
  void release(void* memory) noexcept override { release_host(memory); }
  void* allocate_host(int64_t bytes) override {
    ++live;
    return ::operator new (static_cast<size_t>(bytes), std::align_val_t{64});
  }
  void release_host(void* memory) noexcept override {
    --live;
    ::operator delete (memory, std::align_val_t{64});
  }
  void copy_to_device(void*, const void*, int64_t, Stream*) override { unused(); }
  void copy_to_host(void*, const void*, int64_t, Stream*) override { unused(); }
  void fill_zero(void*, int64_t, Stream*) override { unused(); }
  bool supports(std::string_view, const Attributes&, DType) const override { return false; }
  std::unique_ptr<Kernel> prepare(const KernelRequest&) override { unused(); }
  std::unique_ptr<Kernel> prepare_update(const UpdateRequest&) override { unused(); }
  std::unique_ptr<Kernel> prepare_squared_norm(int64_t) override { unused(); }
  std::unique_ptr<Kernel> prepare_accumulate(int64_t, double, double) override { unused(); }

  int live = 0;

 private:
  [[noreturn]] static void unused() { fail(Failure::device, "this device only lends memory"); }
};

}  // namespace lockstep::testing
