// Batch normalisation in training and evaluation, and its gradient: Ioffe and Szegedy,
// arXiv:1502.03167.
#include <algorithm>
#include <cmath>

#include "kernels.hpp"

namespace lockstep::reference {
namespace {

// Calls body(i) for the place of every element of a channel.
template <class Body>
void for_each_in_channel(const Images& images, int64_t c, Body body) {
  const int64_t plane = images.height * images.width;
  for (int64_t n = 0; n < images.samples; ++n) {
    const int64_t first = images.at(n, c, 0, 0);
    for (int64_t i = first; i < first + plane; ++i) body(i);
  }
}

double elements_of_channel(const Images& images) {
  return static_cast<double>(images.samples * images.height * images.width);
}

// A bit per element, set where y is positive; in the order of the elements, lowest bit first.
void write_mask(const float* y, int64_t count, uint8_t* mask, int64_t bytes) {
  std::fill_n(mask, bytes, uint8_t{0});
  for (int64_t i = 0; i < count; ++i) {
    if (y[i] > 0) mask[i / 8] = static_cast<uint8_t>(mask[i / 8] | 1u << (i % 8));
  }
}

// y = relu?((x - mean) / sqrt(variance + epsilon) * w + b + residual?) over one channel
void normalize_channel(const Images& images, int64_t c, const BatchNormAttributes& attributes,
                       const KernelArguments& arguments, double mean, double variance,
                       size_t residual_input) {
  const float* x = input(arguments, 0);
  const double w = input(arguments, 1)[c];
  const double b = input(arguments, 2)[c];
  const float* residual = attributes.residual ? input(arguments, residual_input) : nullptr;
  float* y = output(arguments, 0);
  const double scale = 1 / std::sqrt(variance + attributes.epsilon);
  for_each_in_channel(images, c, [&](int64_t i) {
    double value = (x[i] - mean) * scale * w + b;
    if (residual != nullptr) value += residual[i];
    // A NaN passes, so that a diverged run shows.
    y[i] = static_cast<float>(attributes.relu && value < 0 ? 0.0 : value);
  });
}

// x, w, b, [residual] -> y, mean, variance, [mask]
std::unique_ptr<Kernel> make_batch_norm(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images images(request.inputs[0]);
  const auto attributes = request.attributes.as<BatchNormAttributes>();
  const int64_t elements = request.inputs[0].shape.numel();
  const int64_t mask_bytes = attributes.mask ? request.outputs[3].bytes() : 0;
  return make_kernel([=](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    for (int64_t c = 0; c < images.channels; ++c) {
      double sum = 0;
      for_each_in_channel(images, c, [&](int64_t i) { sum += x[i]; });
      const double mean = sum / elements_of_channel(images);
      double squares = 0;
      for_each_in_channel(images, c, [&](int64_t i) { squares += (x[i] - mean) * (x[i] - mean); });
      const double variance = squares / elements_of_channel(images);
      normalize_channel(images, c, attributes, arguments, mean, variance, 3);
      output(arguments, 1)[c] = static_cast<float>(mean);
      output(arguments, 2)[c] = static_cast<float>(variance);
    }
    if (attributes.mask) {
      write_mask(output(arguments, 0), elements, output<uint8_t>(arguments, 3), mask_bytes);
    }
  });
}

// x, w, b, running_mean, running_var, [residual] -> y
std::unique_ptr<Kernel> make_batch_norm_inference(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images images(request.inputs[0]);
  const auto attributes = request.attributes.as<BatchNormAttributes>();
  return make_kernel([=](const KernelArguments& arguments) {
    for (int64_t c = 0; c < images.channels; ++c) {
      normalize_channel(images, c, attributes, arguments, input(arguments, 3)[c],
                        input(arguments, 4)[c], 5);
    }
  });
}

// x, dy, mean, variance, w, [y or mask] -> dx, dw, db, [dresidual]
std::unique_ptr<Kernel> make_batch_norm_grad(const KernelRequest& request, HostDevice&) {
  require_plain(request);
  const Images images(request.inputs[0]);
  const auto attributes = request.attributes.as<BatchNormAttributes>();
  return make_kernel([=](const KernelArguments& arguments) {
    const float* x = input(arguments, 0);
    const float* dy = input(arguments, 1);
    const auto* mask = attributes.mask ? input<uint8_t>(arguments, 5) : nullptr;
    const float* y = attributes.relu && !attributes.mask ? input(arguments, 5) : nullptr;
    float* dx = output(arguments, 0);
    float* d_residual = attributes.residual ? output(arguments, 3) : nullptr;
    const auto d_before_relu = [=](int64_t i) {
      const bool passes =
          mask != nullptr ? (mask[i / 8] >> (i % 8) & 1) != 0 : y == nullptr || y[i] > 0;
      return passes ? dy[i] : 0.0f;
    };
    for (int64_t c = 0; c < images.channels; ++c) {
      const double mean = input(arguments, 2)[c];
      const double inverse = 1 / std::sqrt(input(arguments, 3)[c] + attributes.epsilon);
      double sum = 0;        // of dy
      double sum_x_hat = 0;  // of dy * x_hat
      for_each_in_channel(images, c, [&](int64_t i) {
        sum += d_before_relu(i);
        sum_x_hat += d_before_relu(i) * (x[i] - mean) * inverse;
      });
      const double n = elements_of_channel(images);
      const double factor = input(arguments, 4)[c] * inverse;
      for_each_in_channel(images, c, [&](int64_t i) {
        const float d = d_before_relu(i);
        const double x_hat = (x[i] - mean) * inverse;
        if (d_residual != nullptr) d_residual[i] = d;
        dx[i] = static_cast<float>(factor * (d - sum / n - x_hat * sum_x_hat / n));
      });
      output(arguments, 1)[c] = static_cast<float>(sum_x_hat);
      output(arguments, 2)[c] = static_cast<float>(sum);
    }
  });
}

}  // namespace

void add_batch_norm_kernels(HostKernelTable& table) {
  table.set("batch_norm", make_batch_norm);
  table.set("batch_norm_inference", make_batch_norm_inference);
  table.set("batch_norm_grad", make_batch_norm_grad);
}

}  // namespace lockstep::reference
