// A tensor in host memory, plain layout.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "base/half.hpp"
#include "base/layout.hpp"

namespace lockstep {

class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, const Shape& shape)
      : type_{dtype, shape}, bytes_(static_cast<size_t>(type_.bytes())) {}

  const TensorType& type() const { return type_; }
  size_t count() const { return static_cast<size_t>(type_.shape.numel()); }
  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }

  template <class T = float>
  std::span<T> values() {
    LS_ASSERT(DTypeOf<T>::value == type_.dtype);
    return {reinterpret_cast<T*>(bytes_.data()), count()};
  }
  template <class T = float>
  std::span<const T> values() const {
    LS_ASSERT(DTypeOf<T>::value == type_.dtype);
    return {reinterpret_cast<const T*>(bytes_.data()), count()};
  }
  // All elements as double, whatever the type.
  std::vector<double> numbers() const {
    const auto convert = [](auto values) {
      return std::vector<double>(values.begin(), values.end());
    };
    const auto convert_half = [](auto values) {
      std::vector<double> numbers;
      for (auto value : values) numbers.push_back(to_float(value));
      return numbers;
    };
    switch (type_.dtype) {
      case DType::f32:
        return convert(values<float>());
      case DType::f64:
        return convert(values<double>());
      case DType::i64:
        return convert(values<int64_t>());
      case DType::i32:
        return convert(values<int32_t>());
      case DType::u8:
        return convert(values<uint8_t>());
      case DType::bf16:
        return convert_half(values<Bf16>());
      case DType::f16:
        return convert_half(values<F16>());
    }
    return {};
  }

 private:
  TensorType type_;
  std::vector<std::byte> bytes_;
};

}  // namespace lockstep
