// The op cast, in any layout: zero channels that fill a block stay zero.
#include <array>

#include "device/host_half.hpp"

namespace lockstep {
namespace {

// x (any shape) -> x in the type of the output
std::unique_ptr<Kernel> make_cast(const KernelRequest& request, HostDevice& device) {
  const TensorType from = request.inputs[0];
  const TensorType to = request.outputs[0];
  if (from.layout != to.layout) {
    fail(Failure::device, request.label, ": the kernel of the op cast was asked for ", from.text(),
         " -> ", to.text(), "; it needs equal layouts");
  }
  return make_kernel([=, &device](const KernelArguments& arguments) {
    constexpr int64_t kGrain = 4096;
    const auto* x = input<std::byte>(arguments, 0);
    auto* y = output<std::byte>(arguments, 0);
    device.parallel_for(from.stored_elements(), kGrain, [=](int64_t begin, int64_t end) {
      constexpr int64_t kPiece = 1024;  // from half to half by way of float
      std::array<float, kPiece> piece;
      for (int64_t i = begin; i < end; i += kPiece) {
        const int64_t count = std::min(kPiece, end - i);
        const void* source = x + i * size_of(from.dtype);
        void* destination = y + i * size_of(to.dtype);
        if (to.dtype == DType::f32) {
          convert_to_float(from.dtype, source, static_cast<float*>(destination), count);
        } else if (from.dtype == DType::f32) {
          convert_from_float(static_cast<const float*>(source), to.dtype, destination, count);
        } else {
          convert_to_float(from.dtype, source, piece.data(), count);
          convert_from_float(piece.data(), to.dtype, destination, count);
        }
      }
    });
  });
}

}  // namespace

void add_cast_kernels(HostKernelTable& table) { table.set("cast", make_cast); }

}  // namespace lockstep
