// The op reorder for every pair of layouts.
#include <cstring>

#include "device/host_device.hpp"
#include "device/host_reorder.hpp"

namespace lockstep {
namespace {

template <class T>
void reorder_images(const TensorType& source_type, const T* source,
                    const TensorType& destination_type, T* destination, int64_t begin,
                    int64_t end) {
  const Shape& shape = source_type.shape;
  const int64_t block = channel_block(destination_type.layout);
  const int64_t stored_channels = (shape[1] + block - 1) / block * block;
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t c = 0; c < stored_channels; ++c) {
      for (int64_t h = 0; h < shape[2]; ++h) {
        for (int64_t w = 0; w < shape[3]; ++w) {
          destination[element_offset(destination_type, n, c, h, w)] =
              c < shape[1] ? source[element_offset(source_type, n, c, h, w)] : T{0};
        }
      }
    }
  }
}

std::unique_ptr<Kernel> make_reorder(const KernelRequest& request, HostDevice& device) {
  const TensorType from = request.inputs[0];
  const TensorType to = request.outputs[0];
  const bool four_dimensional = to.shape.rank() == 4;
  if (from.shape != to.shape || from.dtype != to.dtype ||
      (!four_dimensional && from.layout != to.layout)) {
    fail(Failure::device, request.label, ": there is no reorder from ", from.text(), " to ",
         to.text(),
         "; shapes and element types must be equal, and other layouts than plain need four "
         "dimensions");
  }
  return make_kernel([=, &device](const KernelArguments& arguments) {
    const int64_t rows = to.shape.rank() == 0 ? 1 : to.shape[0];
    device.parallel_for(rows, 1, [=](int64_t begin, int64_t end) {
      reorder(from, arguments.inputs[0], to, arguments.outputs[0], begin, end);
    });
  });
}

}  // namespace

void reorder(const TensorType& source_type, const void* source, const TensorType& destination_type,
             void* destination, int64_t begin, int64_t end) {
  const Shape& shape = source_type.shape;
  if (shape.rank() != 4 || source_type.layout == destination_type.layout) {
    const int64_t rows = shape.rank() == 0 ? 1 : shape[0];
    const int64_t row_bytes = rows == 0 ? 0 : source_type.bytes() / rows;
    std::memcpy(static_cast<char*>(destination) + begin * row_bytes,
                static_cast<const char*>(source) + begin * row_bytes,
                static_cast<size_t>((end - begin) * row_bytes));
    return;
  }
  const auto as = [&]<class T>(T) {  // of this size; zero is zero in every type
    reorder_images(source_type, static_cast<const T*>(source), destination_type,
                   static_cast<T*>(destination), begin, end);
  };
  switch (size_of(source_type.dtype)) {
    case 1:
      return as(uint8_t{});
    case 2:
      return as(uint16_t{});
    default:
      LS_ASSERT(source_type.dtype == DType::f32);
      return as(float{});
  }
}

void zero_channel_padding(const TensorType& type, float* data) {
  const int64_t block = channel_block(type.layout);
  if (block == 1) return;
  const int64_t channels = type.shape[1];
  const int64_t stored_channels = (channels + block - 1) / block * block;
  for (int64_t n = 0; n < type.shape[0]; ++n) {
    for (int64_t h = 0; h < type.shape[2]; ++h) {
      for (int64_t w = 0; w < type.shape[3]; ++w) {
        for (int64_t c = channels; c < stored_channels; ++c)
          data[element_offset(type, n, c, h, w)] = 0;
      }
    }
  }
}

void add_reorder_kernels(HostKernelTable& table) { table.set("reorder", make_reorder); }

}  // namespace lockstep
