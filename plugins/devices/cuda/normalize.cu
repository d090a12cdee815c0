// From the pixels of pictures to the network's input: y = (image / 255 - mean[c]) / std[c].
#include "device/simt_vector.hpp"
#include "kernels.hpp"
#include "ops/attributes.hpp"
#include "own.hpp"
#include "requests.hpp"

namespace lockstep::cuda {
namespace {

using namespace simt;

// y = image * scale + shift, per channel; passed with the launch.
constexpr int64_t kMostChannels = 32;
struct Scales {
  float scale[kMostChannels], shift[kMostChannels];
};

// image u8 (N, C, H, W) -> y (N, H, W, C); a thread takes eight channels of a pixel
template <class T>
__global__ void normalize_kernel(Images images, Scales scales, const uint8_t* image, T* y) {
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
      v[k] = static_cast<float>(value) * scales.scale[c] + scales.shift[c];
    }
    store(y + i * kVector, v);
  }
}

Scales scales_of(const NormalizeAttributes& attributes, int64_t channels) {
  Scales scales{};
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const double mean = attributes.mean.empty() ? 0 : attributes.mean[c];
    const double std = attributes.std.empty() ? 1 : attributes.std[c];
    scales.scale[c] = static_cast<float>(1 / (255 * std));
    scales.shift[c] = static_cast<float>(-mean / std);
  }
  return scales;
}

std::unique_ptr<Kernel> make_normalize(const KernelRequest& request, CudaDevice&) {
  const TensorType& image = request.inputs[0];
  require_dtype(request, image, DType::u8);
  if (image.layout != Layout::plain) refuse(request, image, "plain bytes");
  if (image.shape[1] > kMostChannels) refuse(request, image, "at most 32 channels");
  const Images images = images_of(request, request.outputs[0]);
  const Scales scales = scales_of(request.attributes.as<NormalizeAttributes>(), images.channels);
  return with_float_type(request, request.outputs[0], [&]<class T>(T) {
    return make_kernel(
        [=](const KernelArguments& a) {
          launch(&normalize_kernel<T>, grid_for(images.elements() / kVector), a.stream, images,
                 scales, input<uint8_t>(a, 0), output<T>(a, 0));
        },
        "own");
  });
}

}  // namespace

void add_normalize_kernels(CudaKernelTable& table) { table.set("normalize", make_normalize); }

}  // namespace lockstep::cuda
