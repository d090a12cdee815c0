// From the pixels of pictures to the network's input: y = (image / 255 - mean[c]) / std[c].
#include "kernels.hpp"

namespace lockstep::reference {
namespace {

// image u8 (N, C, H, W) -> y (N, C, H, W)
std::unique_ptr<Kernel> make_normalize(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images images(request.outputs[0]);
  const auto attributes = request.attributes.as<NormalizeAttributes>();
  return make_kernel([images, attributes](const KernelArguments& arguments) {
    const uint8_t* image = input<uint8_t>(arguments, 0);
    float* y = output(arguments, 0);
    const int64_t plane = images.height * images.width;
    for (int64_t i = 0; i < images.samples * images.channels * plane; ++i) {
      const auto c = static_cast<size_t>(i / plane % images.channels);
      const double mean = attributes.mean.empty() ? 0 : attributes.mean[c];
      const double std = attributes.std.empty() ? 1 : attributes.std[c];
      y[i] = static_cast<float>((image[i] / 255.0 - mean) / std);
    }
  });
}

}  // namespace

void add_normalize_kernels(HostKernelTable& table) { table.set("normalize", make_normalize); }

}  // namespace lockstep::reference
