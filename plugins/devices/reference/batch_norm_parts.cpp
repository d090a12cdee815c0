// Batch normalisation in two halves with a sum over the ranks between them: Peng et al.,
// arXiv:1711.07240, section 3.2.
//
// Moments are (2C + 1) doubles: sums, sums of squares, number of elements per channel.
#include <cmath>

#include "kernels.hpp"

namespace lockstep::reference {
namespace {

// Calls body(i, c) for every element of a batch of images, c its channel.
template <class Body>
void for_each_element(const Images& images, Body body) {
  const int64_t plane = images.height * images.width;
  for (int64_t i = 0; i < images.samples * images.channels * plane; ++i) {
    body(i, i / plane % images.channels);
  }
}

// x -> moments
std::unique_ptr<Kernel> make_batch_moments(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images images(request.inputs[0]);
  return make_kernel([images](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    double* moments = output<double>(arguments, 0);
    std::fill_n(moments, 2 * images.channels + 1, 0.0);
    for_each_element(images, [&](int64_t i, int64_t c) {
      moments[c] += x[i];
      moments[images.channels + c] += static_cast<double>(x[i]) * x[i];
    });
    moments[2 * images.channels] =
        static_cast<double>(images.samples * images.height * images.width);
  });
}

// x, moments, w, b -> y, mean, variance
std::unique_ptr<Kernel> make_batch_norm_apply(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images images(request.inputs[0]);
  const double epsilon = request.attributes.as<BatchNormAttributes>().epsilon;
  return make_kernel([=](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    const double* moments = input<double>(arguments, 1);
    const float* w = input(arguments, 2);
    const float* b = input(arguments, 3);
    float* y = output(arguments, 0);
    float* mean = output(arguments, 1);
    float* variance = output(arguments, 2);
    const double n = moments[2 * images.channels];
    const auto exact_mean = [=](int64_t c) { return moments[c] / n; };
    const auto exact_variance = [=](int64_t c) {
      const double spread = moments[images.channels + c] / n - exact_mean(c) * exact_mean(c);
      return std::max(spread, 0.0);
    };
    for_each_element(images, [&](int64_t i, int64_t c) {
      const double x_hat = (x[i] - exact_mean(c)) / std::sqrt(exact_variance(c) + epsilon);
      y[i] = static_cast<float>(x_hat * w[c] + b[c]);
    });
    for (int64_t c = 0; c < images.channels; ++c) {
      mean[c] = static_cast<float>(exact_mean(c));
      variance[c] = static_cast<float>(exact_variance(c));
    }
  });
}

// x, dy, mean, variance -> sums f64 (2C) of dy and of dy * x_hat, dw, db
std::unique_ptr<Kernel> make_batch_norm_grad_sums(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images images(request.inputs[0]);
  const double epsilon = request.attributes.as<BatchNormAttributes>().epsilon;
  return make_kernel([=](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    const float* dy = input(arguments, 1);
    const float* mean = input(arguments, 2);
    const float* variance = input(arguments, 3);
    double* sums = output<double>(arguments, 0);
    std::fill_n(sums, 2 * images.channels, 0.0);
    for_each_element(images, [&](int64_t i, int64_t c) {
      const double x_hat = (static_cast<double>(x[i]) - mean[c]) / std::sqrt(variance[c] + epsilon);
      sums[c] += dy[i];
      sums[images.channels + c] += dy[i] * x_hat;
    });
    for (int64_t c = 0; c < images.channels; ++c) {
      output(arguments, 1)[c] = static_cast<float>(sums[images.channels + c]);
      output(arguments, 2)[c] = static_cast<float>(sums[c]);
    }
  });
}

// x, dy, mean, variance, w, sums, moments -> dx
std::unique_ptr<Kernel> make_batch_norm_grad_apply(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images images(request.inputs[0]);
  const double epsilon = request.attributes.as<BatchNormAttributes>().epsilon;
  return make_kernel([=](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    const float* dy = input(arguments, 1);
    const float* mean = input(arguments, 2);
    const float* variance = input(arguments, 3);
    const float* w = input(arguments, 4);
    const double* sums = input<double>(arguments, 5);
    const double n = input<double>(arguments, 6)[2 * images.channels];
    float* dx = output(arguments, 0);
    for_each_element(images, [&](int64_t i, int64_t c) {
      const double inverse = 1 / std::sqrt(variance[c] + epsilon);
      const double x_hat = (static_cast<double>(x[i]) - mean[c]) * inverse;
      const double centered = dy[i] - sums[c] / n - x_hat * sums[images.channels + c] / n;
      dx[i] = static_cast<float>(w[c] * inverse * centered);
    });
  });
}

}  // namespace

void add_batch_norm_parts_kernels(HostKernelTable& table) {
  table.set("batch_moments", make_batch_moments);
  table.set("batch_norm_apply", make_batch_norm_apply);
  table.set("batch_norm_grad_sums", make_batch_norm_grad_sums);
  table.set("batch_norm_grad_apply", make_batch_norm_grad_apply);
}

}  // namespace lockstep::reference
