// Kernels that treat each element alone: normalize, add, scale. They walk the memory as it lies, in
// any layout.
#include <lockstep/plugin.hpp>
#include <vector>

#include "kernels.hpp"
#include "view.hpp"

namespace lockstep::cpu {
namespace {

LOCKSTEP_CLONES void normalize_row(const uint8_t* x, float* y, int64_t count, float factor,
                                   float shift) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(x[i]) * factor + shift;
}

LOCKSTEP_CLONES void add_row(const float* a, const float* b, float* y, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

LOCKSTEP_CLONES void scale_row(const float* x, float* y, int64_t count, float factor) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = factor * x[i];
}

// image u8 (N, C, H, W) -> (image / 255 - mean[c]) / std[c]
std::unique_ptr<Kernel> make_normalize(const KernelRequest& request, HostDevice& host) {
  require_plain(request);
  CpuDevice& device = as_cpu(host);
  const auto& attributes = request.attributes.as<NormalizeAttributes>();
  const auto view = ImageView::of(request.outputs[0]);
  std::vector<float> factors, shifts;
  for (size_t c = 0; c < attributes.mean.size(); ++c) {
    factors.push_back(static_cast<float>(1 / (255 * attributes.std[c])));
    shifts.push_back(static_cast<float>(-attributes.mean[c] / attributes.std[c]));
  }
  return make_kernel(
      [=, &device](const KernelArguments& arguments) {
        const uint8_t* x = input<uint8_t>(arguments, 0);
        float* y = output(arguments, 0);
        device.parallel_tasks(view.rows(), [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r) {
            const auto c = static_cast<size_t>(r % view.channels);
            normalize_row(x + r * view.row(), y + r * view.row(), view.row(), factors[c],
                          shifts[c]);
          }
        });
      },
      "loops");
}

// Ranges of whole cache lines, so that threads do not share one.
constexpr int64_t kLine = 1024;

template <class Body>
void over_elements(CpuDevice& device, int64_t count, Body&& body) {
  device.parallel_tasks((count + kLine - 1) / kLine, [&](int64_t begin, int64_t end) {
    body(begin * kLine, std::min(end * kLine, count) - begin * kLine);
  });
}

// a, b -> a + b
std::unique_ptr<Kernel> make_add(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const int64_t count = request.outputs[0].stored_elements();
  return make_kernel(
      [=, &device](const KernelArguments& arguments) {
        const float* a = input(arguments, 0);
        const float* b = input(arguments, 1);
        float* y = output(arguments, 0);
        over_elements(device, count,
                      [=](int64_t at, int64_t n) { add_row(a + at, b + at, y + at, n); });
      },
      "loops");
}

// x -> factor * x
std::unique_ptr<Kernel> make_scale(const KernelRequest& request, HostDevice& host) {
  require_one_layout(request);
  CpuDevice& device = as_cpu(host);
  const int64_t count = request.outputs[0].stored_elements();
  const auto factor = static_cast<float>(request.attributes.as<ScaleAttributes>().factor);
  return make_kernel(
      [=, &device](const KernelArguments& arguments) {
        const float* x = input(arguments, 0);
        float* y = output(arguments, 0);
        over_elements(device, count,
                      [=](int64_t at, int64_t n) { scale_row(x + at, y + at, n, factor); });
      },
      "loops");
}

}  // namespace

void add_elementwise_kernels(HostKernelTable& table) {
  table.set("normalize", make_normalize);
  table.set("add", make_add);
  table.set("scale", make_scale);
}

}  // namespace lockstep::cpu
