// From the pixels of pictures to the network's input: y = (image / 255 - mean[c]) / std[c].
#include <vector>

#include "device/simt_vector.hpp"
#include "kernels.hpp"
#include "ops/attributes.hpp"
#include "own.hpp"
#include "requests.hpp"

namespace lockstep::cuda {
namespace {

using namespace simt;

// Of a channel: y = image * scale + shift
struct ChannelScale {
  float scale, shift;
};

// image u8 (N, C, H, W) -> y (N, H, W, C); a thread takes eight channels of a pixel
template <class T>
__global__ void normalize_kernel(Images images, const ChannelScale* scales, const uint8_t* image,
                                 T* y) {
  const int64_t plane = images.height * images.width;
  const int64_t vectors = images.stored_channels / kVector;
  const int64_t count = images.samples * plane * vectors;
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const int64_t pixel = i / vectors;
    const int64_t n = pixel / plane;
    const int64_t first = i % vectors * kVector;
    Floats v{};
#pragma unroll
    for (int k = 0; k < kVector; ++k) {
      const int64_t c = first + k;
      if (c >= images.channels) continue;
      const uint8_t value = image[(n * images.channels + c) * plane + pixel % plane];
      v[k] = static_cast<float>(value) * scales[c].scale + scales[c].shift;
    }
    store(y + i * kVector, v);
  }
}

std::vector<ChannelScale> channel_scales(const NormalizeAttributes& attributes, int64_t channels) {
  std::vector<ChannelScale> scales;
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const double mean = attributes.mean.empty() ? 0 : attributes.mean[c];
    const double std = attributes.std.empty() ? 1 : attributes.std[c];
    scales.push_back({static_cast<float>(1 / (255 * std)), static_cast<float>(-mean / std)});
  }
  return scales;
}

std::unique_ptr<Kernel> make_normalize(const KernelRequest& request, CudaDevice&) {
  require_dtype(request, request.inputs[0], DType::u8);
  if (request.inputs[0].layout != Layout::plain) refuse(request, request.inputs[0], "plain bytes");
  const Images images = images_of(request, request.outputs[0]);
  const auto scales = channel_scales(request.attributes.as<NormalizeAttributes>(), images.channels);
  return with_float_type(request, request.outputs[0], [&]<class T>(T) {
    return make_kernel(
        [images, table = Table<ChannelScale>(scales)](const KernelArguments& a) {
          launch(&normalize_kernel<T>, grid_for(images.elements() / kVector), a.stream, images,
                 table.data(), input<uint8_t>(a, 0), output<T>(a, 0));
        },
        "own");
  });
}

}  // namespace

void add_normalize_kernels(CudaKernelTable& table) { table.set("normalize", make_normalize); }

}  // namespace lockstep::cuda
