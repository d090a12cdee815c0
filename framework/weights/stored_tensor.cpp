// Numbers of any element type and any strides, to float32 in row-major order.
#include <algorithm>
#include <cstring>

#include "weights/weights.hpp"

namespace lockstep {
namespace {

// Types of 16 bits that C++20 has no arithmetic for.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float to_float(Half half) {
  // The exponent and fraction at their places in a float32, whose exponent is biased by 112 more;
  // multiplying by 2^112 sets that right, for subnormal numbers too.
  const uint32_t magnitude = (half.bits & 0x7FFFu) << 13;
  const uint32_t sign = (half.bits & 0x8000u) << 16;
  if (magnitude >= 0x0F800000u) return from_bits(sign | 0x70000000u | magnitude);  // inf, NaN
  const float value = from_bits(magnitude) * 0x1p112f;
  return sign != 0 ? -value : value;
}
float to_float(BFloat16 half) { return from_bits(static_cast<uint32_t>(half.bits) << 16); }
template <class T>
float to_float(T value) {
  return static_cast<float>(value);
}

template <class T>
float load(const std::byte* at) {  // of any alignment
  T value;
  std::memcpy(&value, at, sizeof value);
  return to_float(value);
}

// One row of elements `step` bytes apart.
template <class T>
void convert_row(const std::byte* from, int64_t step, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = load<T>(from + i * step);
}

using ConvertRow = void (*)(const std::byte*, int64_t, float*, int64_t);

ConvertRow converter(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return convert_row<float>;
    case DType::f64:
      return convert_row<double>;
    case DType::f16:
      return convert_row<Half>;
    case DType::bf16:
      return convert_row<BFloat16>;
    case DType::i64:
      return convert_row<int64_t>;
    case DType::i32:
      return convert_row<int32_t>;
    case DType::u8:
      return convert_row<uint8_t>;
  }
  LS_ASSERT(false);
  return nullptr;
}

// The axes from `axis` on that together are one run of elements, if they are.
bool is_dense_from(const StoredTensor& tensor, int axis) {
  int64_t expected = 1;
  for (int a = tensor.shape.rank() - 1; a >= axis; --a) {
    if (tensor.shape[a] != 1 && tensor.strides[static_cast<size_t>(a)] != expected) return false;
    expected *= tensor.shape[a];
  }
  return true;
}

// Writes the part of a tensor from `axis` on and returns where the next one goes.
float* copy_part(const StoredTensor& tensor, int axis, const std::byte* from, float* out) {
  const int64_t size = size_of(tensor.dtype);
  if (is_dense_from(tensor, axis)) {
    int64_t count = 1;
    for (int a = axis; a < tensor.shape.rank(); ++a) count *= tensor.shape[a];
    if (tensor.dtype == DType::f32) {
      std::memcpy(out, from, static_cast<size_t>(count * size));
    } else {
      converter(tensor.dtype)(from, size, out, count);
    }
    return out + count;
  }
  const int64_t step = tensor.strides[static_cast<size_t>(axis)] * size;
  const int64_t extent = tensor.shape[axis];
  if (axis + 1 == tensor.shape.rank()) {
    converter(tensor.dtype)(from, step, out, extent);
    return out + extent;
  }
  for (int64_t i = 0; i < extent; ++i) out = copy_part(tensor, axis + 1, from + i * step, out);
  return out;
}

}  // namespace

void StoredTensor::copy_to(float* out) const {
  if (shape.numel() == 0) return;
  copy_part(*this, 0, data, out);
}

std::vector<float> StoredTensor::floats() const {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  copy_to(values.data());
  return values;
}

}  // namespace lockstep
