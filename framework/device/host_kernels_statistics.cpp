// A shard's share of batch normalisation's running statistics, with the unbiased variance that
// PyTorch keeps.
#include "device/host_device.hpp"
#include "ops/attributes.hpp"

namespace lockstep {
namespace {

// mean (C), variance (C), fraction (), [moments f64 (2C + 1)] -> mean * fraction, variance *
// n/(n-1) * fraction
std::unique_ptr<Kernel> make_batch_statistics(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const int64_t channels = request.inputs[0].shape[0];
  const auto attribute_count =
      static_cast<double>(request.attributes.as<BatchStatisticsAttributes>().count);
  const bool from_moments = request.inputs.size() > 3;
  return make_kernel([=](const KernelArguments& arguments) {
    const float* mean = input(arguments, 0);
    const float* variance = input(arguments, 1);
    const double fraction = *input(arguments, 2);
    const double n = from_moments ? input<double>(arguments, 3)[2 * channels] : attribute_count;
    const double unbiased = n > 1 ? n / (n - 1) : 1;
    for (int64_t c = 0; c < channels; ++c) {
      output(arguments, 0)[c] = static_cast<float>(mean[c] * fraction);
      output(arguments, 1)[c] = static_cast<float>(variance[c] * unbiased * fraction);
    }
  });
}

}  // namespace

void add_statistics_kernels(HostKernelTable& table) {
  table.set("batch_statistics", make_batch_statistics);
}

}  // namespace lockstep
