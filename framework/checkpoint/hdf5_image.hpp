// HDF5 files in memory: the little of HDF5 that checkpoints use, so that the library never meets a
// disk.
//
// HDF5 1.10, C API: https://docs.hdfgroup.org/hdf5/v1_10. What fails throws Error{checkpoint} with
// the object's path.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"

namespace lockstep {

// An identifier of the library (hid_t), closed at the end of its life.
class Hdf5Id {
 public:
  using Close = int (*)(int64_t);
  Hdf5Id() = default;
  Hdf5Id(int64_t id, Close close) : id_(id), close_(close) {}
  Hdf5Id(Hdf5Id&& other) noexcept { *this = static_cast<Hdf5Id&&>(other); }
  Hdf5Id& operator=(Hdf5Id&& other) noexcept;
  ~Hdf5Id();
  int64_t get() const { return id_; }

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

// Space for the framework's own head in front of the HDF5 part; other HDF5 programs skip it.
inline constexpr int64_t kUserBlockBytes = 512;

// Composes a file. Without timestamps: equal contents, added in the same order, give equal bytes.
class Hdf5Writer {
 public:
  Hdf5Writer();
  void add_group(const std::string& path);
  void add_tensor(const std::string& path, const HostTensor& tensor);  // float32, contiguous
  void add_text(const std::string& path, std::string_view text);       // UTF-8, fixed length
  void add_texts(const std::string& path, const std::vector<std::string>& texts);
  void set_attribute(const std::string& path, const std::string& name, int64_t value);
  void set_attribute(const std::string& path, const std::string& name, uint64_t value);
  void set_attribute(const std::string& path, const std::string& name, double value);
  // The file, its first kUserBlockBytes zero. Ends the composition.
  std::string finish();

 private:
  void write_attribute(const std::string& path, const std::string& name, int64_t file_type,
                       int64_t memory_type, const void* value);
  Hdf5Id create_dataset(const std::string& path, int64_t type, std::span<const uint64_t> extents,
                        bool scalar);
  Hdf5Id file_;
  Hdf5Id link_settings_;
};

// Reads a file's bytes, user block included. What the file says about sizes is compared with the
// size of the file before memory is allocated for it.
class Hdf5Reader {
 public:
  explicit Hdf5Reader(const std::string& bytes);
  std::vector<std::string> members(const std::string& group) const;  // by name
  HostTensor tensor(const std::string& path) const;
  std::string text(const std::string& path) const;
  std::vector<std::string> texts(const std::string& path) const;
  int64_t integer(const std::string& path, const std::string& name) const;  // attributes
  uint64_t unsigned_integer(const std::string& path, const std::string& name) const;
  double number(const std::string& path, const std::string& name) const;
  bool has_attribute(const std::string& path, const std::string& name) const;

 private:
  void read_attribute(const std::string& path, const std::string& name, int64_t memory_type,
                      void* value) const;
  std::string strings(const std::string& path, size_t& length, size_t& count) const;
  uint64_t file_bytes_;
  Hdf5Id file_;
};

}  // namespace lockstep
